# Packed files: their header is read first, and no more is unpacked than it promises. 200 MB of zeros in 200 KB.
python3 - <<END
import gzip, struct
from files import idx
zeros = bytes(1 << 20)
def packed(name, head):
    with gzip.open("$tmp/" + name, "wb", 1) as f:
        f.write(head)
        for _ in range(200): f.write(zeros)
for d in "abcd":
    idx(f"$tmp/{d}/train-labels-idx1-ubyte", (2,), [0, 1])
packed("a/train-images-idx3-ubyte.gz", struct.pack(">HBB3I", 0, 8, 3, 2, 20, 20))
packed("b/train-images-idx3-ubyte.gz", struct.pack(">HBB3I", 0, 8, 3, 500000, 20, 20))
packed("c/train-images-idx3-ubyte.gz", b"")
packed("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 70) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 20, 20), }".ljust(69) + b"\n")
packed("y.npy", b"")
packed("x.png", b"")
END
ulimit -v 900000
for d in a b c; do $rnc train resnet20 -p channels=1 -p size=20 --data $tmp/$d --out $tmp/out --threads 1; done
for f in x.npy y.npy; do $rnc run resnet20 -p channels=1 -p size=20 --input $tmp/$f --output $tmp/z.npy --threads 1; done
mkdir -p $tmp/f/k1 $tmp/f/k2
for k in k1 k2; do for i in 1 2 3 4 5 6; do cp $tmp/x.png $tmp/f/$k/$i.png; done; done
$rnc train resnet20 -p channels=1 -p size=20 -p classes=2 --data $tmp/f --normalize mnist --out $tmp/out2 --threads 1 2>&1 | grep -o "is neither a PNG.*"
