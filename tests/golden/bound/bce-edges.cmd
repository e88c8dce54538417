# Binary cross entropy at 0 and 1 is bounded by 100, as PyTorch has it; logits of 200 are finite and exact.
spec() { printf "rnc: 1\nmodel: t\ninputs: {x: {shape: [2]}}\ntargets: {t: {type: tensor, shape: [2]}}\nlayers:\n  - leaky_relu: {slope: 1, as: y}\noutputs: [y]\nloss: [binary_cross_entropy: {from: y, target: t, from_logits: $1}]\n" >$tmp/t.yaml; }
loss() {
    spec $1
    python3 -c "
from files import npy
npy('$tmp/x.npy', (1, 2), [$2])
npy('$tmp/t.npy', (1, 2), [$3])"
    $rnc run $tmp/t.yaml --train --input $tmp/x.npy --target $tmp/t.npy --output loss=$tmp/l.npy >/dev/null
    python3 -c "
from files import read_npy
print('$1', '[$2]', '[$3]', '%.4f' % read_npy('$tmp/l.npy')[1][0])"
}
loss false '0, 1' '1, 1'
loss false '0, 1' '0, 1'
loss true '200, -200' '1, 0'
loss true '200, -200' '0, 1'
