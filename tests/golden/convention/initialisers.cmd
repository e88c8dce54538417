# Fresh weights under each convention and by each name, against the frameworks' formulas.
. tests/golden/convention/net.sh
cp tests/golden/convention/initialisers.py "$tmp/law.py"
python3 - <<PY
from files import npy
for part in "train", "val":
    npy(f"$tmp/data/{part}/x.npy", (1, 16, 2, 2), [0] * 64)
    npy(f"$tmp/data/{part}/t.npy", (1,), [0], "i8")
PY
fresh() {
    top="${1:+conventions: $1}"
    init="${2:+, init: $2}"
    net 2 "[16, 2, 2]" "conv2d: {name: conv, out: 64, kernel: 3, pad: 1, groups: 2$init}" \
        "conv_transpose2d: {name: up, out: 16, kernel: 3, pad: 1$init}" "pad: {size: [0, 0, 2, 2]}" "flatten" \
        "dense: {name: fc, out: 96$init, as: y}" >"$tmp/net.yaml"
    cat >>"$tmp/net.yaml" <<YAML
targets: {t: {type: class}}
loss: [{softmax_cross_entropy: {from: y, target: t}}]
train: {batch: 1, epochs: 1, optimizer: {sgd: {lr: 0, momentum: 0}}}
YAML
    rm -rf "$tmp/out"
    $rnc train "$tmp/net.yaml" --data "$tmp/data" --out "$tmp/out" >"$tmp/said" 2>&1 || cat "$tmp/said"
    python3 "$tmp/law.py" "$1" "$2" "$tmp/out/last.safetensors"
}
fresh "" ""
fresh keras ""
fresh pytorch ""
for init in glorot_normal he_uniform he_normal lecun_uniform lecun_normal; do fresh keras $init; done
fresh "" kaiming_uniform
net 2 "[3, 8, 8]" "dense: {name: fc, out: 3, init: he}" "conv2d: {name: c, out: 3, kernel: 1, bias_init: ones, as: y}" | $rnc check -
