# A kernel of 31 × 31, for each channel and dense, inference and training: its taps are a loop, not unrolled, so that code (and the time to
# compile it, minutes elsewhere) stays small.
for groups in 64 1; do
    cat >$tmp/net.yaml <<SPEC
rnc: 1
model: net
inputs: {x: {shape: [64, 33, 33]}}
targets: {t: {type: class}}
layers: [{conv2d: {name: conv, out: 64, kernel: 31, pad: 15, groups: $groups}}, global_avg_pool, {dense: {name: fc, out: 2, as: y}}]
outputs: [y]
loss: [{softmax_cross_entropy: {from: y, target: t}}]
train: {batch: 4, optimizer: sgd}
SPEC
    for mode in "" --train; do
        $rnc compile $tmp/net.yaml $mode --json | sed -n 's/.*"code_bytes": \([0-9]*\).*/\1/p' | awk -v g=$groups '{ print "groups " g ": " ($1 < 250000 ? "small" : $1 " bytes") }'
    done
done
