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
