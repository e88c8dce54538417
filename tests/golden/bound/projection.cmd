# A residual block without a projection: the advice names it, was tried, and is sound once it is followed.
spec() { cat >$tmp/$1.yaml <<END
rnc: 1
model: $1
inputs: {image: {shape: [3, 32, 32]}}
targets: {label: {type: class}}
blocks:
  residual:
    params: {out: {type: int}, stride: 1}
    layers:
      - conv2d: {name: conv1, out: \$out, kernel: 3, stride: \$stride, pad: same}
      - relu
      - conv2d: {name: conv2, out: \$out, kernel: 3, stride: $4, pad: same}
      - add: {with: in}
layers:
  - conv2d: {name: conv1, out: $2, kernel: 7, stride: 2, pad: same}
  - stage: {name: s1, block: residual, repeat: 2, out: 64}
  - stage: {name: s2, block: residual, repeat: 2, out: 128$3}
  - stage: {name: s3, block: residual, repeat: 2, out: 256$3}
  - global_avg_pool
  - dense: {name: fc, out: 10, as: logits}
outputs: [logits]
loss: [softmax_cross_entropy: {from: logits, target: label}]
END
}
try() {
    echo "== $1"
    spec "$@"
    $rnc check $tmp/$1.yaml
    python3 tests/golden/bound/follow.py $tmp/$1.yaml && $rnc check $tmp/$1.yaml
}
try channels 64 "" 1
try first_too 128 "" 1
try strides 64 ", first: {stride: 2}" 1
try strides_twice 64 ", first: {stride: 2}" '$stride'
