# `same` of a 6×6 image, 3×3, stride 2: no row before, one behind; a weight of 1 at (0, 0) picks 1 3 5 13 15 17 25 27 29.
. tests/golden/convention/net.sh
net 2 "[1, 6, 6]" "conv2d: {name: c, out: 1, kernel: 3, stride: 2, pad: same, bias: false, as: y}" >"$tmp/net.yaml"
python3 - <<PY
from files import npy, safetensors
npy("$tmp/x.npy", (1, 1, 6, 6), range(1, 37))
safetensors("$tmp/w.safetensors", {"c.weight": ((1, 1, 3, 3), [1] + [0] * 8)})
PY
$rnc run "$tmp/net.yaml" --weights "$tmp/w.safetensors" --input "$tmp/x.npy" --output "y=$tmp/y.npy"
python3 -c "from files import read_npy; print(*map(round, read_npy('$tmp/y.npy')[1]))"
