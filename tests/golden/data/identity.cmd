# The identity of data is of contents: renamed and moved pictures are the same data, one byte of a picture or of a mask makes others.
cat >$tmp/make.py <<'END'
import os, sys
from files import png, plain
at, name, pixel, mask = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for i in range(10):
    rows, labels = plain(8, 8, 20 * i), plain(8, 8, i % 2)
    if i == 4:
        rows[3][3], labels[2][2] = pixel, mask
    png("%s/images/%s%02d.png" % (at, name, i), rows)
    png("%s/masks/%s%02d.png" % (at, name, i), labels)
END
identity() {
    python3 $tmp/make.py $tmp/$1 $2 $3 $4
    $rnc train tests/golden/data/map.yaml --data $tmp/$1 --epochs 1 --out $tmp/out-$1 >$tmp/log || cat $tmp/log
    python3 -c 'import sys; from files import read_safetensors; print(read_safetensors(sys.argv[1])[1]["rnc.data"])' $tmp/out-$1/last.safetensors >$tmp/$1.txt
}
identity a x 80 0; identity b renamed_ 80 0; identity c x 81 0; identity d x 80 1
sed 's/hash .*/hash …/' $tmp/a.txt
for other in b c d; do cmp -s $tmp/a.txt $tmp/$other.txt && echo "$other: the same" || echo "$other: others"; done
$rnc train tests/golden/data/map.yaml --data $tmp/d --epochs 2 --out $tmp/out-a --resume 2>&1 | grep error | sed "s/hash [0-9a-f]*/hash …/g"
