# Grouped and dilated convolutions that public reports found wrong elsewhere (4 to 16 in 2 groups, 16 groups of a kernel of 128, 16 to 32 in 16
# groups with stride 2, 5 channels dilated beyond the image), and Winograd's error at 144 channels of 12×12.
check() { # NAME SHAPE CONV
    cat >"$tmp/$1.yaml" <<Y
rnc: 1
model: m
inputs: {image: {shape: [$2]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: c, $3}
  - relu
  - global_avg_pool
  - dense: {name: fc, out: 3, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
    $rnc verify "$tmp/$1.yaml" "${@:4}" >"$tmp/out" || grep WRONG "$tmp/out"
    echo "$1: $(tail -1 "$tmp/out")"
}
check two-groups "4, 6, 6" "out: 16, kernel: 1, groups: 2"
check wide-kernel "16, 1, 130" "out: 16, kernel: [1, 128], groups: 16"
check stride "16, 8, 8" "out: 32, kernel: 2, stride: 2, groups: 16"
check dilated "5, 7, 7" "out: 5, kernel: 3, pad: 9, dilation: 9"
check dilated-groups "5, 7, 7" "out: 5, kernel: 3, pad: 9, dilation: 9, groups: 5"
check winograd "144, 12, 12" "out: 144, kernel: 3, pad: 1" --samples 2
