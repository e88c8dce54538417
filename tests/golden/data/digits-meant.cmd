# Weights of other data are not scored on the digits that rnc brings; weights of the digits are.
python3 - <<'END'
import os
from files import png, plain
for i in range(20):
    for name, v in (("a", 30), ("b", 220)):
        png(os.environ["tmp"] + "/d/%s/%02d.png" % (name, i), plain(20, 20, v + i))
END
t="tests/golden/data/tiny.yaml -p size=20 --epochs 1"
$rnc train $t --data $tmp/d --out $tmp/out >$tmp/log || cat $tmp/log
$rnc eval ${t% --*} --weights $tmp/out/best.safetensors
$rnc train $t -p classes=10 --out $tmp/digits >$tmp/log || cat $tmp/log
$rnc eval ${t% --*} -p classes=10 --weights $tmp/digits/best.safetensors | head -1
