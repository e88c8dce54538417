# A tensor of one number that a binary loss compares is a binary label: of folders, as of arrays.
python3 $here/pictures.py classes $tmp/yes no yes
$rnc train $here/binary-tensor.yaml --data $tmp/yes --overwrite --out $tmp/out --epochs 1 | grep -c '^epoch 1/1'
python3 - $tmp/arrays <<'END'
import sys
from files import npy
npy(sys.argv[1] + "/image.npy", (20, 3, 8, 8), [k % 7 / 7 for k in range(20 * 192)])
npy(sys.argv[1] + "/label.npy", (20, 1), [k % 2 for k in range(20)])
npy(sys.argv[1] + "-2/image.npy", (20, 3, 8, 8), [k % 7 / 7 for k in range(20 * 192)])
npy(sys.argv[1] + "-2/label.npy", (20, 1), [k % 3 for k in range(20)])
END
$rnc train $here/binary-tensor.yaml --data $tmp/arrays --overwrite --out $tmp/out --epochs 1 | grep -c '^epoch 1/1'
$rnc train $here/binary-tensor.yaml --data $tmp/arrays-2 --overwrite --out $tmp/out
