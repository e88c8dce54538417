# The positive class is 1, wherever it stands among the folders: bright is `ill` in one set of folders and `well` in the other.
python3 $here/pictures.py classes $tmp/a ill well
for positive in ill well; do
    $rnc train $here/binary.yaml -p positive=$positive --data $tmp/a --out $tmp/$positive --normalize none \
        | awk '/^epoch 3/ { print ($4 < 0.5) ? "learnt" : $0 }'
    python3 - $tmp/$positive/last.safetensors <<'END'
import struct, sys
from files import read_safetensors
print("bright pictures are", "1" if struct.unpack("<3f", read_safetensors(sys.argv[1])[0]["fc.weight"][2])[0] > 0 else "0")
END
done
# Evaluated, and predicted: the share that is for the positive class. The same weights are all wrong where the other class is positive.
for positive in ill well; do
    $rnc eval $here/binary.yaml -p positive=$positive --data $tmp/a --weights $tmp/ill/last.safetensors 2>/dev/null | grep -E '^accuracy'
done
$rnc predict $here/binary.yaml -p positive=ill --weights $tmp/ill/last.safetensors $tmp/a/ill/0.png 2>/dev/null | awk '/%/ { print ($1 > 50 ? "likely" : "not"), $3 }'
$rnc predict $here/binary.yaml -p positive=ill --weights $tmp/ill/last.safetensors $tmp/a/well/0.png 2>/dev/null | awk '/%/ { print ($1 > 50 ? "likely" : "not"), $3 }'
