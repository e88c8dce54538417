# Two steps of a net in Keras's conventions, and its inference, against Keras's formulas: glorot weights are given; batch norm has 0.99, 1e-3 and
# the biased variance; the pool's `same` does not count the padding; adam has epsilon hat, 1e-7.
. tests/golden/convention/net.sh
cat >"$tmp/net.yaml" <<YAML
rnc: 2
conventions: keras
model: keras_net
inputs: {x: {shape: [1, 2, 2]}}
targets: {t: {type: tensor, shape: [1]}}
layers:
  - batch_norm: {name: bn}
  - leaky_relu
  - avg_pool: {kernel: 3, stride: 2, pad: same}
  - flatten
  - dense: {name: fc, out: 1, as: y}
outputs: [y]
loss: [{mean_squared_error: {from: y, target: t}}]
train: {batch: 2, epochs: 2, optimizer: adam}
YAML
cat >"$tmp/keras.py" <<'PY'
import math, struct, sys
from files import npy, read_npy, read_safetensors, safetensors
tmp = sys.argv[1]
X, T = [[1, 2, 3, 4], [-2, 0, 5, 1]], [1, -1]
if len(sys.argv) == 3:
    for part in "train", "val":
        npy(f"{tmp}/data/{part}/x.npy", (2, 1, 2, 2), X[0] + X[1])
        npy(f"{tmp}/data/{part}/t.npy", (2, 1), T)
    npy(f"{tmp}/x.npy", (2, 1, 2, 2), X[0] + X[1])
    safetensors(f"{tmp}/w.safetensors", {"bn.weight": ((1,), [1]), "bn.bias": ((1,), [0]), "bn.running_mean": ((1,), [0]),
                                         "bn.running_var": ((1,), [1]), "fc.weight": ((1, 1), [0.5]), "fc.bias": ((1,), [0])})
    sys.exit()
# gamma, beta, w, b; one window covers the 2×2 image, with a row and a column of padding
p, m, v = [1.0, 0.0, 0.5, 0.0], [0] * 4, [0] * 4
mean, var = 0.0, 1.0
leaky = lambda a: a if a > 0 else 0.3 * a
def forward(p, mu, s2):
    normal = [[(a - mu) / math.sqrt(s2 + 1e-3) for a in x] for x in X]
    acted = [[p[0] * a + p[1] for a in x] for x in normal]
    pooled = [sum(map(leaky, x)) / 4 for x in acted]
    return normal, acted, pooled, [p[2] * q + p[3] for q in pooled]
flat = X[0] + X[1]
mu = sum(flat) / 8
s2 = sum((a - mu) ** 2 for a in flat) / 8
for t in 1, 2:
    normal, acted, pooled, y = forward(p, mu, s2)
    dy = [2 * (a - b) / 2 for a, b in zip(y, T)]
    g = [0, 0, sum(d * q for d, q in zip(dy, pooled)), sum(dy)]
    for d, n, a in zip(dy, normal, acted):
        for k in range(4):
            back = d * p[2] / 4 * (1 if a[k] > 0 else 0.3)
            g[0], g[1] = g[0] + back * n[k], g[1] + back
    mean, var = 0.99 * mean + 0.01 * mu, 0.99 * var + 0.01 * s2
    for k in range(4):
        m[k] += (g[k] - m[k]) * 0.1
        v[k] += (g[k] ** 2 - v[k]) * 0.001
        p[k] -= m[k] * 1e-3 * math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t) / (math.sqrt(v[k]) + 1e-7)
tensors, _ = read_safetensors(f"{tmp}/out/last.safetensors")
names = ["bn.weight", "bn.bias", "fc.weight", "fc.bias", "bn.running_mean", "bn.running_var"]
found = [struct.unpack("<f", tensors[n][2])[0] for n in names] + list(read_npy(f"{tmp}/y.npy")[1])
wanted = p + [mean, var] + forward(p, mean, var)[3]
for n, a, b in zip(names + ["y[0]", "y[1]"], found, wanted):
    print("%-16s %.5f" % (n, b), "as trained" if abs(a - b) < 2e-6 * max(1, abs(b)) else "but trained: %r" % a)
PY
python3 "$tmp/keras.py" "$tmp" files
$rnc train "$tmp/net.yaml" --data "$tmp/data" --no-shuffle --init "$tmp/w.safetensors" --out "$tmp/out" >"$tmp/said" 2>&1 || cat "$tmp/said"
$rnc run "$tmp/net.yaml" --weights "$tmp/out/last.safetensors" --input "$tmp/x.npy" --output "y=$tmp/y.npy"
python3 "$tmp/keras.py" "$tmp"
