# Labels from 1 where they begin at 0: named, with the range. (-1 is what `ignore` is by default: no label.)
sed 's/out: 5/out: 3/' tests/object/net.yaml >$tmp/net.yaml
python3 -c '
import sys
from files import npy
npy(sys.argv[1] + "/x.npy", (4, 3, 8, 8), [0.5] * 768)
npy(sys.argv[1] + "/t.npy", (4,), [1, 2, 3, 1], "i8")
npy(sys.argv[1] + "/negative.npy", (4,), [0, 1, -2, 2], "i8")' $tmp
for t in t negative; do $rnc run $tmp/net.yaml --train --input $tmp/x.npy --target $tmp/$t.npy --output logits=$tmp/y.npy; done
