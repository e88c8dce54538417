# Losses at their edges, beside the formula: smoothing with ignored pixels, everything ignored, BCE at 0 and 1 and of large logits.
cat >$tmp/losses.py <<'PY'
import math, sys
from files import npy
tmp = sys.argv[1]
x = [math.sin(3 * k) * 4 for k in range(2 * 3 * 4)]  # [2, 3, 2, 2]
t = [0, 1, 2, 255, 1, 255, 0, 2]
npy(tmp + "/x.npy", [2, 3, 2, 2], x)
npy(tmp + "/t.npy", [2, 2, 2], t, "i8")
npy(tmp + "/none.npy", [2, 2, 2], [255] * 8, "i8")
total = count = 0
for k, label in enumerate(t):
    if label == 255: continue
    v = [x[(k // 4) * 12 + c * 4 + k % 4] for c in range(3)]
    lse = math.log(sum(map(math.exp, v)))
    total -= sum((0.1 / 3 + 0.9 * (c == label)) * (v[c] - lse) for c in range(3))
    count += 1
print("smoothed, ignored: loss %.4f" % (total / count))
p, y = [0.0, 1.0, 0.0, 1.0, 0.5, 0.25], [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
log = lambda v: max(math.log(v), -100) if v else -100
npy(tmp + "/p.npy", [1, 6], p)
npy(tmp + "/y.npy", [1, 6], y)
print("probabilities at 0 and 1: loss %.4f" % (-sum(b * log(a) + (1 - b) * log(1 - a) for a, b in zip(p, y)) / 6))
z = [200.0, -200.0, 200.0, -200.0, 0.0, 1.0]
npy(tmp + "/z.npy", [1, 6], z)
print("large logits: loss %.4f" % (sum(max(a, 0) - a * b + math.log1p(math.exp(-abs(a))) for a, b in zip(z, y)) / 6))
PY
python3 $tmp/losses.py $tmp
cat >$tmp/ce.yaml <<'SPEC'
rnc: 1
model: ce
inputs: {x: {shape: [3, 2, 2]}}
targets: {t: {type: class_map, ignore: 255}}
layers: [{dropout: {p: 0, as: y}}]
outputs: [y]
loss: [{softmax_cross_entropy: {from: y, target: t, label_smoothing: 0.1}}]
SPEC
sed 's/{type: class_map, ignore: 255}/{type: tensor, shape: [6]}/; s/\[3, 2, 2\]/[6]/; s/softmax_\(.*\), label_smoothing: 0.1/binary_\1/' $tmp/ce.yaml >$tmp/bce.yaml
sed 's/target: t/&, from_logits: false/' $tmp/bce.yaml >$tmp/p.yaml
loss() { $rnc run $1 --train --input $tmp/$2.npy --target $tmp/$3.npy --output y=$tmp/out.npy; }
loss $tmp/ce.yaml x t | awk '{ printf "loss %.4f\n", $2 }'
loss $tmp/ce.yaml x none
loss $tmp/p.yaml p y | awk '{ printf "loss %.4f\n", $2 }'
loss $tmp/bce.yaml z y | awk '{ printf "loss %.4f\n", $2 }'
