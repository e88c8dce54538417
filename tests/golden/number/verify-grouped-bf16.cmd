# Groups of two channels, in bf16: statistics and gradients of biases are taken of what is not yet rounded.
cat >"$tmp/m.yaml" <<'Y'
rnc: 1
model: m
inputs: {image: {shape: [4, 9, 9]}}
targets: {label: {type: class_map}}
layers:
  - conv2d: {name: a, out: 8, kernel: 3, pad: 1}
  - batch_norm: {name: n}
  - conv2d: {name: b, out: 8, kernel: 3, pad: 1, groups: 2}
  - batch_norm: {name: m}
  - conv2d: {name: h, out: 3, kernel: 1, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
for batch in 1 2 5; do $rnc verify "$tmp/m.yaml" --dtype bf16 --batch $batch --seed 1 | grep -E 'any shape.*WRONG|checks passed'; done
