# Five samples in batches of 4, batch norm over 1×1. The batch of one leaves the running statistics alone: mean 0.1 · 3 = 0.3, and variance
# 0.9 + 0.1 · 20/3 = 1.5667 (biased, 0.9 + 0.1 · 5 = 1.4); before, it pulled them to 1.27 and 1.41.
. tests/golden/convention/net.sh
python3 - <<PY
from files import npy
for part in "train", "val":
    npy(f"$tmp/data/{part}/x.npy", (5, 1, 1, 1), [0, 2, 4, 6, 10])
    npy(f"$tmp/data/{part}/t.npy", (5,), [0, 1, 0, 1, 1], "i8")
PY
step() {
    net 2 "[1, 1, 1]" "batch_norm: {name: bn$1}" "flatten" "dense: {name: fc, out: 2, as: y}" >"$tmp/net.yaml"
    cat >>"$tmp/net.yaml" <<YAML
targets: {t: {type: class}}
loss: [{softmax_cross_entropy: {from: y, target: t}}]
train: {batch: $2, epochs: 1, optimizer: {sgd: {lr: 0, weight_decay: 0}}}
YAML
    $rnc train "$tmp/net.yaml" --data "$tmp/data" --no-shuffle --out "$tmp/out$2$1" | grep -o '^the last batch.*'
    python3 - "$tmp/out$2$1/last.safetensors" <<PY
import struct, sys
from files import read_safetensors
tensors, _ = read_safetensors(sys.argv[1])
for name in "bn.running_mean", "bn.running_var":
    print(name, *["%.4f" % v for v in struct.unpack("<f", tensors[name][2])])
PY
}
step "" 4
step ", biased: true" 4
echo "-- batches of 3 and 2"
step "" 3
