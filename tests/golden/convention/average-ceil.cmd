# pytorch/pytorch#183528: 1.5556 3.3333 2 6.3333 11 6 4.5 7.5 4; and 9×9 gives 3×3, not 4×4: no window begins in the padding.
. tests/golden/convention/net.sh
forward 2 "[1, 4, 4]" "avg_pool: {kernel: 3, stride: 2, pad: 1, ceil: true, as: y}"
forward 2 "[1, 9, 9]" "avg_pool: {kernel: 4, stride: 4, pad: 2, ceil: true, as: y}" | cut -d: -f1
