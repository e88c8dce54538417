# What cancels to zero is right by the size of its terms: one pixel's gradient before batch norm, the mean of what batch norm has centred,
# the gradient of a single class's probability, batch norm of two values.
head='rnc: 1
model: m
targets: {label: {type: class}}
outputs: [logits]'
check() { # NAME, further arguments; layers from standard input
    { echo "$head"; cat; } >"$tmp/$1.yaml"
    for seed in 0 1 2; do
        $rnc verify "$tmp/$1.yaml" --seed $seed "${@:2}" >"$tmp/out" || grep WRONG "$tmp/out"
        # Every line that the condition decides says so; which ones these are hangs on the CPU's vectors.
        grep -c . "$tmp/out" >/dev/null && grep -oE '^[0-9]+ of [0-9]+ checks passed$' "$tmp/out"
        grep -q 'ok (condition ' "$tmp/out" && echo yes >"$tmp/$1.condition"
    done
    echo "$1: by its terms: $(cat "$tmp/$1.condition" 2>/dev/null || echo no)"
}
check conv-bn --batch 8 <<'Y'
inputs: {image: {shape: [1, 28, 28]}}
layers: [conv2d: {name: c, out: 4, kernel: 1, bias: false}, batch_norm: {name: b}, relu, global_avg_pool, dense: {name: fc, out: 3, as: logits}]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
check bn-pool --batch 1 <<'Y'
inputs: {image: {shape: [3, 8, 8]}}
layers: [conv2d: {name: c, out: 8, kernel: 3, pad: 1}, batch_norm: {name: b}, global_avg_pool, dense: {name: fc, out: 3, as: logits}]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
check one-class --batch 3 <<'Y'
inputs: {image: {shape: [3, 8, 8]}}
layers: [conv2d: {name: c, out: 8, kernel: 3, pad: 1}, relu, global_avg_pool, dense: {name: fc, out: 1, as: logits}]
loss: [{softmax_cross_entropy: {from: logits, target: label, label_smoothing: 0.3}}]
Y
check two-values --all <<'Y'
inputs: {image: {shape: [3, 4, 4]}}
layers:
  - conv2d: {name: a, out: 16, kernel: 4, bias: false}
  - batch_norm: {name: n1}
  - relu
  - conv2d: {name: b, out: 16, kernel: 1, bias: false}
  - batch_norm: {name: n2}
  - relu
  - conv2d: {name: c, out: 16, kernel: 1, bias: false}
  - batch_norm: {name: n3}
  - relu
  - flatten
  - dense: {name: fc, out: 3, as: logits}
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
