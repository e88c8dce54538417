# A transformed convolution of 144 channels: within the budget of its layer, and of the network.
cat >$tmp/net.yaml <<'SPEC'
rnc: 1
model: net
inputs: {x: {shape: [144, 12, 12]}}
layers: [{conv2d: {name: conv, out: 144, kernel: 3, pad: 1, as: y}}]
outputs: [y]
SPEC
for o in f2 f4 f6; do $rnc verify $tmp/net.yaml --infer --winograd $o | tail -n 1 | sed -E 's/[0-9]+ of [0-9]+/N of N/'; done
