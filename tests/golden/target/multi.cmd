# Any of three classes, one of two classes, and two numbers, in one model; bytes and whole numbers do for zeros and ones.
cat >$tmp/arrays.py <<'END'
import sys
from files import npy
folder, kind, wrong = sys.argv[1:4]
x = [[(k >> b) & 1 for b in range(3)] + [k % 5 / 5] for k in range(80)]
npy(folder + "/x.npy", (80, 4), [v for r in x for v in r])
npy(folder + "/colours.npy", (80, 3), [v for r in x for v in r[:3]] [:-1] + [int(wrong)], kind)
npy(folder + "/kind.npy", (80,), [r[0] for r in x], "i8")
npy(folder + "/size.npy", (80, 2), [v for r in x for v in (r[3], 1 - r[3])])
END
for kind in f4 u1 i8; do
    python3 $tmp/arrays.py $tmp/$kind $kind 1
    $rnc train $here/multi.yaml --data $tmp/$kind --out $tmp/out-$kind 2>&1 | awk '/^epoch 3/ { print ($4 < 1.2) ? "learnt" : $0 } /error/'
done
cmp $tmp/out-f4/last.safetensors $tmp/out-u1/last.safetensors
$rnc eval $here/multi.yaml --data $tmp/f4 --weights $tmp/out-f4/last.safetensors | grep -c '^loss '
python3 $tmp/arrays.py $tmp/wrong f4 2
$rnc train $here/multi.yaml --data $tmp/wrong --out $tmp/x
