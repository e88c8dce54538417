# Another plan: taken where every sum is in the same order, and then to the same bits; else refused, or taken and recorded.
. tests/golden/run/small.sh
cat >"$tmp/p.yaml" <<'YAML'
rnc: 1
model: p
inputs: {image: {shape: [1, 20, 20]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: c1, out: 20, kernel: 3, pad: 1, bias: false}
  - batch_norm: {name: b1}
  - relu
  - dropout: {p: 0.2}
  - conv2d: {name: c2, out: 37, kernel: 3, stride: 2, pad: 1}
  - batch_norm: {name: b2}
  - relu
  - global_avg_pool
  - dense: {name: fc, out: 4, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
train: {batch: 32, epochs: 1, optimizer: {sgd: {lr: 0.01, momentum: 0.9}}, schedule: constant}
YAML
python3 - "$tmp/wide" <<'PY'
import random
import sys
from files import idx
random.seed(1)
for part, n in (("train", 64), ("t10k", 32)):
    idx(sys.argv[1] + f"/{part}-images-idx3-ubyte", (n, 20, 20), [random.randrange(256) for _ in range(n * 400)])
    idx(sys.argv[1] + f"/{part}-labels-idx1-ubyte", (n,), [k % 4 for k in range(n)])
PY
same() { python3 -c 'import sys; from files import read_safetensors as r; print("the same bits" if r(sys.argv[1])[0] == r(sys.argv[2])[0] else "other bits")' "$tmp/$1/last.safetensors" "$tmp/$2/last.safetensors"; }
$rnc train "$tmp/p.yaml" --data "$tmp/wide" --cpu x86-64-v3 --memory-budget none --out "$tmp/a" >/dev/null || exit
for copy in b c d; do cp -r "$tmp/a" "$tmp/$copy"; done
go_on() { $rnc train "$tmp/$1" --extend 1 "${@:2}" 2>&1 >/dev/null | sed -E 's/[0-9]+ partial/N partial/g'; }
go_on a; go_on b --memory-budget 3.3MiB; same a b
go_on c --memory-budget 5MiB
go_on c --memory-budget 5MiB --allow-drift; same a c
python3 -c 'import sys; from files import read_safetensors as r; print(r(sys.argv[1])[1]["rnc.drift"], end="")' "$tmp/c/last.safetensors" | sed -E 's/[0-9]+ partial/N partial/g'
# Another CPU, with vectors of the same length.
sed -i 's/"rnc.cpu":"x86-64-v3"/"rnc.cpu":"x86-64-vX"/' "$tmp/d/last.safetensors"; grep -ac x86-64-vX "$tmp/d/last.safetensors"
go_on d; same a d
