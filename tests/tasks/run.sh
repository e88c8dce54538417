#!/usr/bin/env bash
# rnc train and eval on arrays: any inputs and targets; every shipped spec makes a few steps.
set -u
RNC=${RNC:-build/rnc}
here=$(dirname "$0")
. "$(dirname "$0")/../support/interrupted.sh"
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $1"
    tail -n 20 "$dir/log"
}
# check NAME COMMAND…: the command succeeds
check() {
    local name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then ok; else bad "$name"; fi
}
# refuses WORDS COMMAND…: it fails as the user's mistake, and says so
refuses() {
    local words=$1 got
    shift
    "$@" >"$dir/log" 2>&1
    got=$?
    if [ $got = 1 ] && grep -qF -- "$words" "$dir/log"; then ok; else bad "$* (exit $got; expected 1 with '$words')"; fi
}
arrays() { python3 "$here/arrays.py" "$@" || exit 2; }

# ---- two inputs, two targets
pair="left:f:2,8,8 right:f:1,8,8 offset:f:2 kind:3"
# shellcheck disable=SC2086
arrays "$dir/pair/train" 21 $pair
# shellcheck disable=SC2086
arrays "$dir/pair/val" 10 $pair
spec=$here/pair.yaml

check "training" $RNC train "$spec" --data "$dir/pair" --out "$dir/a"
check "the log's columns" grep -qx \
    'epoch,step,lr,train_loss,val_loss,val_loss.moved,val_loss.scores,'\
'val_moved.mean_absolute_error,samples_per_s,seconds' \
    "$dir/a/log.csv"
check "two rows in the log" test "$(wc -l <"$dir/a/log.csv")" = 3
check "twelve steps" test "$(tail -n 1 "$dir/a/steps.csv" | cut -d, -f1)" = 12
interrupted $RNC train "$spec" --data "$dir/pair" --out "$dir/b" --threads 1 >"$dir/interrupted"
check "resuming" $RNC train "$spec" --data "$dir/pair" --out "$dir/b" --resume
check "the same bits after resuming" cmp "$dir/a/last.safetensors" "$dir/b/last.safetensors"
check "the same best" cmp "$dir/a/best.safetensors" "$dir/b/best.safetensors"
check "the same steps" cmp "$dir/a/steps.csv" "$dir/b/steps.csv"
if $RNC eval "$spec" --data "$dir/pair" --weights "$dir/a/best.safetensors" --batch 4 --json >"$dir/log" 2>&1; then
    ok; else bad "eval"; fi
loss=$(sed -n 's/.*"loss": \([-0-9.e]*\).*/\1/p' "$dir/log")
best=$(tail -n +2 "$dir/a/log.csv" | cut -d, -f5 | sort -g | head -n 1)
check "the loss of the best epoch: $loss, $best" test "$(printf '%.6g' "${loss:-0}")" = "$(printf '%.6g' "${best:-1}")"

# ---- a spec that can be read only once
for command in "train --out $dir/stdin" "eval --weights $dir/a/best.safetensors"; do
    # shellcheck disable=SC2086
    check "$command, from standard input" sh -c "$RNC ${command%% *} - --data $dir/pair ${command#* } <$spec"
done
check "the same bits from standard input" cmp "$dir/a/last.safetensors" "$dir/stdin/last.safetensors"

# ---- what is wrong with the arrays
refuses "there is no $dir/pair/train/offset.npy for the target 'offset'" sh -c \
    "mv $dir/pair/train/offset.npy $dir/offset.npy; \
    $RNC train $spec --data $dir/pair --out $dir/x"
mv "$dir/offset.npy" "$dir/pair/train/offset.npy"
cp -r "$dir/pair" "$dir/wrong"
arrays "$dir/wrong/train" 21 right:f:1,8,9
refuses "right.npy is [21, 1, 8, 9], the input 'right' is [count, 1, 8, 8]" $RNC train "$spec" --data "$dir/wrong" \
    --out "$dir/x"
arrays "$dir/wrong/train" 20 right:f:1,8,8
refuses "right.npy has 20 samples, left.npy beside it has 21" $RNC train "$spec" --data "$dir/wrong" --out "$dir/x"
arrays "$dir/wrong/train" 21 right:f:1,8,8 kind:5
refuses "'kind' has 3 classes" $RNC train "$spec" --data "$dir/wrong" --out "$dir/x"
arrays "$dir/wrong/train" 21 kind:f
refuses "kind.npy holds floating-point numbers, the target 'kind' is labels of classes, int64" $RNC train "$spec" \
    --data "$dir/wrong" --out "$dir/x"

# ---- every shipped spec
levels=""
for level in 3:16 4:8 5:4 6:2 7:1; do
    size=${level#*:},${level#*:}
    levels="$levels scores${level%:*}:f:27,$size boxes${level%:*}:f:36,$size"
done
# shellcheck disable=SC2086
arrays "$dir/boxes" 10 image:f:3,128,128 $levels
retinanet="retinanet -p size=128 -p classes=3 -p width=8 -p features=16 -p backbone=resnet18 \
    --lr 1e-3 --data $dir/boxes"
check "retinanet" $RNC train $retinanet --epochs 2 --out "$dir/retinanet"
interrupted $RNC train $retinanet --epochs 2 --out "$dir/again" >"$dir/interrupted"
check "retinanet, resumed" $RNC train $retinanet --out "$dir/again" --resume
check "retinanet, the same bits" cmp "$dir/retinanet/last.safetensors" "$dir/again/last.safetensors"
check "retinanet, eval" $RNC eval ${retinanet% --lr*} --data "$dir/boxes" --weights "$dir/retinanet/best.safetensors"
arrays "$dir/classes" 10 image:f:3,32,32 label:10
for model in resnet18 resnet34 resnet50; do
    check $model $RNC train $model -p size=32 -p width=8 -p classes=10 --data "$dir/classes" --batch 5 --epochs 1 \
        --no-augment --out "$dir/$model"
done
check resnet20 $RNC train resnet20 -p width=4 --data "$dir/classes" --batch 5 --epochs 1 --no-augment --out \
    "$dir/resnet20"
refuses "augmentation is for images" $RNC train resnet20 -p width=4 --data "$dir/classes" --batch 5 --epochs 1 --out \
    "$dir/x"
arrays "$dir/masks" 10 image:f:3,32,32 mask:2:32,32
check unet $RNC train unet -p size=32 -p width=4 --data "$dir/masks" --batch 5 --epochs 1 --no-augment --out "$dir/unet"
check "all of them" test "$(ls "$here"/../../specs/*.yaml | wc -l)" = 6

echo "$passed passed, $failed failed"
[ $failed = 0 ]
