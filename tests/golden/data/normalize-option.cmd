# --normalize: names, none, measured, numbers; and what is none of these.
t="tests/golden/data/tiny.yaml -p size=20 -p classes=10 --epochs 1 --overwrite --out $tmp/out"
line() { $rnc "$@" | grep images:; }
line train $t --normalize mnist
line train $t --normalize none
line train $t --normalize measured --set inputs.image.scale=-1..1
line train $t --normalize 0.5/0.25
line train $t --set inputs.image.normalize=none
line train $t --set inputs.image.normalize=mnist --normalize measured
t="${t%% --epochs*} --weights $tmp/out/best.safetensors"
line eval $t
line eval $t --normalize none
echo "-- refused"
$rnc eval $t --normalize measured
$rnc eval $t --normalize imagenet
$rnc eval $t --normalize mnits
$rnc eval $t --normalize 0.5
$rnc eval $t --normalize 0.5,0.5/1,1
$rnc eval $t --normalize 0.5,0.5/1
$rnc eval $t --normalize 0.5/0
python3 - <<'END'
import array, os
from files import read_safetensors, safetensors
tensors, meta = read_safetensors(os.environ["tmp"] + "/out/best.safetensors")
tensors = {n: (s, array.array("f", b)) for n, (d, s, b) in tensors.items()}
safetensors(os.environ["tmp"] + "/w.safetensors", tensors)
safetensors(os.environ["tmp"] + "/bad.safetensors", tensors, {"rnc.preprocess": "fit: crop, channels: grey, scale: 0..1"})
safetensors(os.environ["tmp"] + "/old.safetensors", tensors, {"rnc.mean": "0x1p-1", "rnc.std": "0x1p-2", "rnc.centre_crop": "1"})
END
t=${t%% --weights*}
$rnc eval $t --weights $tmp/w.safetensors --set inputs.image.normalize=measured
$rnc eval $t --weights $tmp/bad.safetensors
echo "-- a checkpoint from before there was one text"
line eval $t --weights $tmp/old.safetensors
line eval $t --weights $tmp/old.safetensors --set "train.augment=[random_resized_crop]"
