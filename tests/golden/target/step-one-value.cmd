# A training step that cannot be built is refused before anything is trained.
cat >$tmp/bn.yaml <<'END'
rnc: 1
model: bn
inputs: {image: {shape: [3, 8, 8]}}
targets: {label: {type: class}}
layers:
  - global_avg_pool
  - dense: {name: a, out: 4}
  - batch_norm: {name: bn}
  - dense: {name: b, out: 2, as: y}
outputs: [y]
loss: [{softmax_cross_entropy: {from: y, target: label}}]
train: {batch: 1}
END
$rnc check $tmp/bn.yaml
$rnc check $tmp/bn.yaml --set train.batch=2
