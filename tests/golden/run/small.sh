# Read by the cases: t.yaml, a network that trains in no time, and data, 64 + 32 pictures of four classes (which quarter
# is bright).
# $train: trains it there for two epochs.
cat >"t.yaml" <<'YAML'
rnc: 1
model: t
params: {classes: 4, size: 12, width: 8}
inputs: {image: {shape: [1, $size, $size]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: c1, out: $width, kernel: 3, pad: 1, bias: false}
  - batch_norm: {name: b1}
  - relu
  - dropout: {p: 0.2}
  - global_avg_pool
  - dense: {name: fc, out: $classes, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
metrics: [accuracy]
train: {batch: 16, epochs: 2, optimizer: {adamw: {lr: 0.01}}, schedule: cosine, augment: [{flip: {horizontal: true}}]}
YAML
python3 - "data" <<'PY'
import random
import sys
from files import idx
random.seed(1)
for part, n in (("train", 64), ("t10k", 32)):
    labels = [k % 4 for k in range(n)]
    places = [(y // 6) * 2 + x // 6 for y in range(12) for x in range(12)]
    pixels = [random.randrange(40) + (180 if place == c else 0) for c in labels for place in places]
    idx(sys.argv[1] + f"/{part}-images-idx3-ubyte", (n, 12, 12), pixels)
    idx(sys.argv[1] + f"/{part}-labels-idx1-ubyte", (n,), labels)
PY
export RNC_CACHE=off
train="rnc train t.yaml --data data --threads 1"
# What varies: times and speeds, the CPU, memory.
calm() {
    sed -E 's/[0-9]+ images\/s/N images\/s/; s/[0-9.]+ s\b/N s/g; s/compiled for [^ ]+/compiled for CPU/
            s/[0-9.]+ [KM]iB/N MiB/'
}
# fresh DIR [OPTION…]: a run of very many epochs in DIR that is interrupted after its first; $last is how many it then
# has.
. $root/tests/support/interrupted.sh
fresh() {
    local dir=$1
    shift
    interrupted $train --epochs 4000 --no-augment --out "$dir" "$@" >"log"
    [ $? = 130 ] || cat "log"
}
