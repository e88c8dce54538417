# Classes called train, images and masks; and parts that are called so.
python3 - <<'END'
import os
from files import png, plain
tmp = os.environ["tmp"]
def folder(at, names, count=10):
    for k, name in enumerate(names):
        for i in range(count):
            png("%s/%s/%s/%s%02d.png" % (tmp, at, name, name[:1], i), plain(8, 8, 30 + k * 90 + i))
folder("veh", ["bus", "car", "train"])
folder("art", ["images", "masks", "paintings"])
folder("pair", ["images", "masks"])
folder("parts/train", ["bus", "car"])
folder("parts/val", ["bus", "car"], 3)
for i in range(10):
    png(tmp + "/seg/images/%02d.png" % i, plain(8, 8, 20 * i))
    png(tmp + "/seg/masks/%02d.png" % i, plain(8, 8, i % 2))
END
first() { $rnc train "$@" --epochs 1 --overwrite --out $tmp/out 2>&1 | grep 'error\|=\| on ' | head -3; }
t=tests/golden/data/tiny.yaml m=tests/golden/data/map.yaml
first $t -p classes=3 --data $tmp/veh
first $t -p classes=3 --data $tmp/art
first $t --data $tmp/pair
first $t --data $tmp/parts
first $m --data $tmp/seg
first $t --data $tmp/seg
