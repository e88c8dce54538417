# train has 0, 90, 180, 270, val lacks 180: names stay in step (sorted as text).
python3 - <<'END'
import os
from files import png, plain
tmp = os.environ["tmp"]
for part, angles in (("train", (0, 90, 180, 270)), ("val", (0, 90, 270))):
    for a in angles:
        for i in range(8):
            png("%s/a/%s/%d/%d.png" % (tmp, part, a, i), plain(8, 8, a // 90 * 70 + i))
END
t="tests/golden/data/tiny.yaml -p classes=4 --set train.epochs=60"
$rnc train $t --data $tmp/a --out $tmp/out >$tmp/log || cat $tmp/log
head -1 $tmp/log; tail -1 $tmp/log | sed 's/ in epoch.*//'
python3 -c 'import os; from files import read_safetensors; print(read_safetensors(os.environ["tmp"] + "/out/best.safetensors")[1]["rnc.classes"])'
$rnc predict $t --weights $tmp/out/best.safetensors $tmp/a/train/{0,90,180,270}/1.png --top 1 | grep '%' | sed 's/.*%//'
$rnc eval $t --weights $tmp/out/best.safetensors --data $tmp/a | grep 'accuracy\|tiny'
mkdir $tmp/a/val/45; cp $tmp/a/val/0/0.png $tmp/a/val/45; $rnc eval $t --weights $tmp/out/best.safetensors --data $tmp/a
