# Pictures of several sizes: how many sizes, and which is the least and the largest; of one size: that.
python3 - <<END
from files import png, plain
for c in "ab":
    for i in range(6):
        png(f"$tmp/many/{c}/{i}.png", plain(8 + i, 12, 5))
        png(f"$tmp/one/{c}/{i}.png", plain(9, 7, 5))
END
for d in many one; do $rnc train resnet20 -p n=1 -p width=4 -p channels=1 -p size=8 -p classes=2 --data $tmp/$d --epochs 1 --out $tmp/out.$d --threads 1 2>&1 | grep -o " on \(many\|one\).*"; done
