# Six steps with a rate that falls at each epoch, against the formulas of each framework.
. tests/golden/convention/net.sh
cp tests/golden/convention/optimizers.py "$tmp/formulas.py"
python3 - <<PY
from files import npy, safetensors
for part in "train", "val":
    npy(f"$tmp/data/{part}/x.npy", (4, 1), [1, 2, -1, 0.5])
    npy(f"$tmp/data/{part}/t.npy", (4, 1), [2, 3, -2, 2])
safetensors("$tmp/w.safetensors", {"fc.weight": ((1, 1), [0.5]), "fc.bias": ((1,), [-0.25])})
PY
steps() {
    top="conventions: $1"
    net 2 "[1]" "dense: {name: fc, out: 1, as: y}" >"$tmp/net.yaml"
    cat >>"$tmp/net.yaml" <<YAML
targets: {t: {type: tensor, shape: [1]}}
loss: [{mean_squared_error: {from: y, target: t}}]
train: {batch: 2, epochs: 3, optimizer: {$2: {$3}}, schedule: {step: {milestones: [1, 2], gamma: 0.1}}}
YAML
    rm -rf "$tmp/out"
    $rnc train "$tmp/net.yaml" --data "$tmp/data" --no-shuffle --init "$tmp/w.safetensors" --out "$tmp/out" >"$tmp/said" 2>&1 || cat "$tmp/said"
    echo "$1 $2 {$3}: $(python3 "$tmp/formulas.py" "$2" "$1" "$3" "$tmp/out/last.safetensors")"
}
for framework in keras pytorch; do
    steps $framework sgd "lr: 0.1, momentum: 0.9, weight_decay: 0.1"
    steps $framework sgd "lr: 0.1, momentum: 0.9, nesterov: true"
    steps $framework adam "lr: 0.1, eps: 1e-3, weight_decay: 0.1"
    steps $framework adamw "lr: 0.1"
    steps $framework rmsprop "lr: 0.01, momentum: 0.9, eps: 1e-2, weight_decay: 0.1"
done
