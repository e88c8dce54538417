# Weights that say nothing of images: evaluation and prediction prepare them by the same rule. Long pictures, of which a centre is another
# picture than the whole: each is bright in its middle and dark at its ends, or the other way round.
python3 - <<'END'
import os
from files import png, read_safetensors, safetensors
import array
for i in range(12):
    for name, middle, ends in (("bright", 220, 20), ("dark", 20, 220)):
        png(os.environ["tmp"] + "/d/%s/%02d.png" % (name, i), [[ends + i] * 12 + [middle + i] * 8 + [ends + i] * 12] * 8)
END
$rnc train tests/golden/data/tiny.yaml --data $tmp/d --out $tmp/out | grep 'images:'
python3 - <<'END'
import array, os
from files import read_safetensors, safetensors
tensors, _ = read_safetensors(os.environ["tmp"] + "/out/best.safetensors")
safetensors(os.environ["tmp"] + "/w.safetensors", {n: (s, array.array("f", b)) for n, (d, s, b) in tensors.items()})
END
both() {
    echo "== $*"
    $rnc eval tests/golden/data/tiny.yaml --data $tmp/d --json "$@" | grep 'preprocess\|accuracy'
    $rnc predict tests/golden/data/tiny.yaml "${@:1:2}" "${@:3}" --top 1 $tmp/d/*/*.png >$tmp/log
    grep 'images:' $tmp/log
    echo "$(paste - - <<<"$(grep -v images: $tmp/log)" | grep -c '/bright/.*0$\|/dark/.*1$\|/\(bright\|dark\)/.* \1$') of 24 right"
}
both --weights $tmp/out/best.safetensors
both --weights $tmp/w.safetensors
both --weights $tmp/w.safetensors --normalize 0.3/0.25
both --weights $tmp/w.safetensors --set inputs.image.fit=resize
both --weights $tmp/out/best.safetensors --set inputs.image.fit=resize
