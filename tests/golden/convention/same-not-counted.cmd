# Average pooling with `pad: same` of 1 … 16 (4×4), kernel 3, stride 1. Under `rnc: 2` the first corner's mean is that of its four pixels, 3.5.
. tests/golden/convention/net.sh
pool() { forward "$1" "[1, 4, 4]" "avg_pool: {kernel: 3, stride: 1, pad: same$2, as: y}"; }
pool 1 ""
pool 2 ""
pool 1 ", count_pad: true"
pool 2 ", count_pad: true"
pool 1 ", count_pad: false"
echo "-- no padding, no warning; numbers are not \`same\`"
forward 1 "[1, 4, 4]" "avg_pool: {kernel: 2, pad: same, as: y}"
forward 2 "[1, 4, 4]" "avg_pool: {kernel: 3, stride: 1, pad: 1, as: y}"
