# Sums of any length and sign keep the budget of a layer, 3e-6 of the result: inference's nodes on random numbers and on numbers of one sign.
check() { # NAME SHAPE LAYER
    cat >"$tmp/$1.yaml" <<Y
rnc: 1
model: m
inputs: {image: {shape: [$2]}}
layers:
  - $3
  - ${4:-flatten: {as: y}}
outputs: [y]
Y
    $rnc verify "$tmp/$1.yaml" --infer --batch 1 --tolerance 3e-6 --winograd off >"$tmp/out" || grep WRONG "$tmp/out"
    echo "$1: $(tail -1 "$tmp/out")"
}
dense() { check "dense-$1" "$1, 1, 1" "flatten
  - dense: {name: fc, out: $2}"; }
dense 25088 64
dense 602112 2
check channels "4096, 3, 3" "conv2d: {name: c, out: 4, kernel: 3, pad: 1}"
check wide-kernel "16, 72, 72" "conv2d: {name: c, out: 4, kernel: 72}"
check groups "4100, 3, 3" "conv2d: {name: c, out: 4, kernel: 3, groups: 2}"
check transposed "2048, 2, 2" "conv_transpose2d: {name: c, out: 4, kernel: 2, stride: 2}"
check avg-pool "1, 700, 700" "avg_pool: {name: p, kernel: 700}"
check avg-pool-edges "1, 80, 80" "avg_pool: {name: p, kernel: 80, stride: 40, pad: 40}"
check global-pool "1, 700, 700" "global_avg_pool: {name: p}"
