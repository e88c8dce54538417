# Label smoothing with ignored pixels: the mean over the labels that count, by the formula.
cat >$tmp/t.yaml <<'END'
rnc: 1
model: t
inputs: {x: {shape: [3, 2, 2]}}
targets: {label: {type: class_map, shape: [2, 2]}}
layers:
  - leaky_relu: {slope: 1, as: y}
outputs: [y]
loss: [softmax_cross_entropy: {from: y, target: label, label_smoothing: 0.1, ignore: 255}]
END
python3 - <<END
from files import npy
npy("$tmp/x.npy", (1, 3, 2, 2), [1, -2, 0.5, 3, 2, 0, -1, 0.25, 0, 1, 1.5, -3])
npy("$tmp/t.npy", (1, 2, 2), [0, 255, 2, 1], "i8")
END
$rnc run $tmp/t.yaml --train --input $tmp/x.npy --target $tmp/t.npy --output loss=$tmp/l.npy >/dev/null
python3 - <<END
import math
from files import read_npy
x, t = [1, -2, 0.5, 3, 2, 0, -1, 0.25, 0, 1, 1.5, -3], [0, 255, 2, 1]
terms = []
for i, label in enumerate(t):
    z = [x[4 * c + i] for c in range(3)]
    total = math.log(sum(map(math.exp, z)))
    if label != 255: terms.append(0.9 * (total - z[label]) + 0.1 * sum(total - v for v in z) / 3)
got = read_npy("$tmp/l.npy")[1][0]
print("as the formula" if abs(got - sum(terms) / len(terms)) < 1e-6 else (got, sum(terms) / len(terms)))
END
