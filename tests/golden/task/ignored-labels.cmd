# Batches of 2 with 2, 1 and no labels that count: the last is no step (weights, momentum and statistics stay), and an epoch's mean counts labels.
data() {
    python3 -c '
import sys
from files import npy
labels = eval(sys.argv[2])
for part in "train", "val":
    d = sys.argv[1] + "/" + part
    npy(d + "/x.npy", [len(labels), 2, 2, 2], [(3 * k % 11) / 11 for k in range(8 * len(labels))])
    npy(d + "/label.npy", [len(labels)], labels, "i8")' $tmp/$1 "$2"
}
cat >$tmp/s.yaml <<'SPEC'
rnc: 1
model: s
inputs: {x: {shape: [2, 2, 2]}}
targets: {label: {type: class, ignore: 9}}
layers:
  - conv2d: {name: c, out: 4, kernel: 1}
  - batch_norm: {name: bn}
  - relu
  - global_avg_pool
  - dense: {name: fc, out: 3, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
train: {batch: 2, epochs: 1, optimizer: {sgd: {lr: 0.1, momentum: 0.9, weight_decay: 0.1}}}
SPEC
data all '[0, 1, 2, 9, 9, 9]'
data most '[0, 1, 2, 9]'
for d in all most; do $rnc train $tmp/s.yaml --data $tmp/$d --no-shuffle --out $tmp/out-$d >/dev/null || exit; done
cat >$tmp/same.py <<'PY'
import sys
from files import read_safetensors
a, b = (read_safetensors(p)[0] for p in sys.argv[1:])
print("same tensors" if a == b else "other tensors")
PY
python3 $tmp/same.py $tmp/out-all/last.safetensors $tmp/out-most/last.safetensors
cmp $tmp/out-all/steps.csv $tmp/out-most/steps.csv && echo same steps
# the mean of 2 labels and 1, from the steps
python3 - $tmp/out-all <<'PY'
import csv, sys
steps = [float(r["loss"]) for r in csv.DictReader(open(sys.argv[1] + "/steps.csv"))]
row = list(csv.DictReader(open(sys.argv[1] + "/log.csv")))[-1]
print(len(steps), "steps;", "counts labels" if abs(float(row["train_loss"]) - (2 * steps[0] + steps[1]) / 3) < 1e-6 else "counts samples")
PY
# the same validation loss in batches of any size
for n in 1 2 3 6; do $rnc eval $tmp/s.yaml --data $tmp/all --weights $tmp/out-all/last.safetensors --batch $n --json | grep '"loss"' | cut -c1-16; done | uniq | wc -l
data none '[9, 9, 9, 9]'
$rnc train $tmp/s.yaml --data $tmp/none --out $tmp/out-none | grep -vE '^(batch|tensors as)'
$rnc eval $tmp/s.yaml --data $tmp/none --weights $tmp/out-all/last.safetensors
