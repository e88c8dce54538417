cat >$tmp/t.yaml <<'END'
rnc: 1
model: t
params: {size: 20}
inputs: {image: {shape: [1, $size, $size]}}
targets: {label: {type: class}}
layers:
  - flatten
  - dense: {name: fc, out: 10, as: logits}
outputs: [logits]
loss: [softmax_cross_entropy: {from: logits, target: label}]
END
python3 -c "
from files import png, plain, npy, safetensors
npy('$tmp/x.npy', (1, 1, 20, 20), [0] * 400)
npy('$tmp/label.npy', (1,), [0], 'i8')
png('$tmp/x.png', plain(20, 20, 0))
safetensors('$tmp/w.safetensors', {'fc.weight': ((10, 400), [0] * 4000), 'fc.bias': ((10,), [0] * 10)})"
$rnc compile $tmp/t.yaml --emit ir-raw >$tmp/t.ir
rnc=$(realpath $rnc) python3 tests/golden/bound/options.py $tmp
