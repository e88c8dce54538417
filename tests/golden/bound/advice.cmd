# No advice that was not tried: in two stages no number of channels mends the block; a slip in one layer has its mend.
spec() { cat >$tmp/$1.yaml <<END
rnc: 1
model: $1
inputs: {image: {shape: [3, 32, 32]}}
layers:
$2
outputs: [y]
END
$rnc check $tmp/$1.yaml
}
spec both "  - conv2d: {name: a, out: 4, kernel: 3, stride: 2, pad: 1, as: a}
  - conv2d: {name: b, out: 8, kernel: 3, stride: 1, as: b}
  - add: {with: a, as: y}"
spec slip "  - conv2d: {name: a, out: 4, kernel: 3, pad: 1, as: a}
  - conv2d: {name: b, out: 5, kernel: 3, pad: 1}
  - add: {with: a}
  - add: {with: a, as: y}"
