# 20 pictures of 32 × 8, their left quarter of class 1: predict sees the whole picture, as evaluation does, and finds 75 and 25 %.
python3 - <<'END'
import os
from files import png
for i in range(20):
    row = [200 + i] * 8 + [20 + i] * 24
    png(os.environ["tmp"] + "/wide/images/%02d.png" % i, [row] * 8)
    png(os.environ["tmp"] + "/wide/masks/%02d.png" % i, [[1] * 8 + [0] * 24] * 8)
END
cut="sed s/.compiled.for.*//;s/|.[^|]*images.s.*//"
$rnc train tests/golden/data/map.yaml --data $tmp/wide --out $tmp/out | $cut | grep -v '^epoch\|^best'
$rnc predict tests/golden/data/map.yaml --weights $tmp/out/best.safetensors $tmp/wide/images/03.png
$rnc eval tests/golden/data/map.yaml --weights $tmp/out/best.safetensors --data $tmp/wide | grep 'images:\|miou'
