# 200 samples, labels k mod 10: every tenth is class 9, and held out. eval on the run's data takes what the run held out; all of it when
# that is asked for, or when the data are other ones.
python3 - <<'END'
import os
from files import idx
tmp = os.environ["tmp"]
for name, flip in (("cyc", 0), ("other", 1)):
    idx(tmp + "/%s/train-images-idx3-ubyte" % name, (200, 8, 8), [(k % 10 * 25 + flip) % 256 for k in range(200) for _ in range(64)])
    idx(tmp + "/%s/train-labels-idx1-ubyte" % name, (200,), [k % 10 for k in range(200)])
END
t="tests/golden/data/tiny.yaml -p classes=10" 
$rnc train $t --data $tmp/cyc --epochs 2 --out $tmp/out >$tmp/log || cat $tmp/log
head -1 $tmp/log
evaluated() { $rnc eval $t --weights $tmp/out/best.safetensors "$@" 2>&1 | sed -n 's/images in .*/images/; /images:/!{/tiny\|images\|error\|=/p}'; }
evaluated --data $tmp/cyc
evaluated --data $tmp/cyc --all
evaluated --data $tmp/other
echo "-- the same samples elsewhere, under other names"
mkdir $tmp/moved; cp $tmp/cyc/train-images-idx3-ubyte $tmp/moved/a-images-idx3-ubyte; cp $tmp/cyc/train-labels-idx1-ubyte $tmp/moved/a-labels-idx1-ubyte
evaluated --data $tmp/moved/a-images-idx3-ubyte
echo "-- nobody says which data"
evaluated
evaluated --all --data $tmp/out
