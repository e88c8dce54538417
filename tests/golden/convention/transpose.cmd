# conv_transpose2d: `same` gives in · stride also where the kernel is smaller than the stride, and output_pad goes up to the dilation. By hand.
. tests/golden/convention/net.sh
transposed() {
    net 2 "[1, 1, 2]" "conv_transpose2d: {name: c, out: 1, kernel: [1, $1], bias: false, $2, as: y}" >"$tmp/net.yaml"
    python3 -c "
from files import npy, safetensors
npy('$tmp/x.npy', (1, 1, 1, 2), [1, 2])
safetensors('$tmp/w.safetensors', {'c.weight': ((1, 1, 1, $1), [10 ** k for k in range($1)])})"
    $rnc run "$tmp/net.yaml" --weights "$tmp/w.safetensors" --input "$tmp/x.npy" --output "y=$tmp/y.npy" || return
    python3 -c "from files import read_npy; print('kernel $1, $2:', *map(round, read_npy('$tmp/y.npy')[1]))"
}
transposed 1 "stride: [1, 3], pad: same"
transposed 2 "stride: [1, 3], pad: same"
transposed 3 "stride: [1, 2], pad: same"
transposed 2 "stride: [1, 4], pad: same, output_pad: [0, 1]"
transposed 2 "dilation: [1, 3], output_pad: [0, 2]"
transposed 2 "dilation: [1, 3], output_pad: [0, 2], pad: [0, 0, 0, 1]"
transposed 2 "dilation: [1, 3], output_pad: [0, 3]"
