# A label that a loss ignores is the target's: masks may hold it. Two losses of one target cannot ignore different ones.
python3 - $tmp/data <<'END'
import sys
from files import png
for k in range(20):
    bright = k % 2
    png(f"{sys.argv[1]}/images/{k:02}.png", [[(200 if bright else 40,) * 3] * 16] * 16)
    png(f"{sys.argv[1]}/masks/{k:02}.png", [[bright] * 12 + [255] * 4] * 16)
END
t="$rnc train $here/map-half.yaml --data $tmp/data --batch 2 --epochs 2"
$t --out $tmp/none 2>&1 | grep error | sed 's|masks/..|masks/NN|'
$t --out $tmp/loss --set 'loss=[{softmax_cross_entropy: {from: logits, target: mask, ignore: 255}}]' | grep -o '^best pixel.*%'
$t --out $tmp/target --set targets.mask.ignore=255 | grep -o '^best pixel.*%'
$rnc check $here/map-half.yaml --set 'loss=[{softmax_cross_entropy: {from: logits, target: mask, ignore: 255}}, {softmax_cross_entropy: {from: logits, target: mask, ignore: 1}}]'
$rnc check $here/map-half.yaml --set 'loss=[{softmax_cross_entropy: {from: logits, target: mask, ignore: 255}}]' --set targets.mask.ignore=-1
