# NaN and infinities in weights are named by tensor; of very many unknown names a few are listed, and few are searched.
cat >$tmp/t.yaml <<'END'
rnc: 1
model: t
inputs: {x: {shape: [2, 4, 4]}}
layers:
  - conv2d: {name: c, out: 3, kernel: 3}
  - batch_norm: {name: b}
  - flatten
  - dense: {name: fc, out: 2, as: y}
outputs: [y]
END
python3 - <<END
from files import npy, safetensors
npy("$tmp/x.npy", (1, 2, 4, 4), [0.5] * 32)
good = {"c.weight": ((3, 2, 3, 3), [0.1] * 54), "c.bias": ((3,), [0] * 3), "fc.weight": ((2, 12), [1] * 24), "fc.bias": ((2,), [0] * 2),
        "b.weight": ((3,), [1] * 3), "b.bias": ((3,), [0] * 3), "b.running_mean": ((3,), [0] * 3), "b.running_var": ((3,), [1] * 3)}
def bad(file, name, at, value):
    t = {k: (s, list(v)) for k, (s, v) in good.items()}
    t[name][1][at] = value
    safetensors(f"$tmp/{file}.safetensors", t)
bad("good", "c.bias", 0, 1)
bad("weight", "c.weight", 53, float("nan"))
bad("var", "b.running_var", 1, float("inf"))
bad("stored", "fc.bias", 1, float("nan"))
safetensors("$tmp/many.safetensors", {**good, **{f"layer{i}.0.conv1.weight": ((1,), [0]) for i in range(100000)}})
safetensors("$tmp/few.safetensors", {f"x{k}": v for k, v in good.items()})
END
for f in good weight var stored; do $rnc run $tmp/t.yaml --input $tmp/x.npy --output $tmp/y.npy --weights $tmp/$f.safetensors; done
ulimit -t 15
for f in many few; do $rnc run $tmp/t.yaml --input $tmp/x.npy --output $tmp/y.npy --weights $tmp/$f.safetensors; done
