#!/usr/bin/env bash
# rnc train, eval and predict as a user meets them: on the built-in digits, with a narrow ResNet-8.
set -u
RNC=${RNC:-build/rnc}
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
# refuses STATUS WORDS COMMAND…: it fails with that status and says so
refuses() {
    local status=$1 words=$2 got
    shift 2
    "$@" >"$dir/log" 2>&1
    got=$?
    if [ $got = "$status" ] && grep -qF -- "$words" "$dir/log"; then ok;
        else bad "$* (exit $got; expected $status with '$words')"; fi
}
number() { sed -n "s/.*\"$1\": \([-0-9.e]*\).*/\1/p" "$2" | head -n 1; }
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

model="resnet20 -p channels=1 -p size=20 -p n=1 -p width=8"
small="$model --set train.schedule=constant --batch 32 --lr 0.05"

check "training" $RNC train $small --epochs 2 --out "$dir/a" --threads 2
for file in last.safetensors best.safetensors log.csv steps.csv curves.png curves.svg; do
    check "$file" test -s "$dir/a/$file"; done
check "two rows in the log" test "$(wc -l <"$dir/a/log.csv")" = 3

check "training, one thread" $RNC train $small --epochs 2 --out "$dir/one" --threads 1
check "the same bits on one thread" cmp "$dir/a/last.safetensors" "$dir/one/last.safetensors"
interrupted $RNC train $small --epochs 2 --out "$dir/b" --threads 3 >"$dir/interrupted"
check "stopped, three threads" grep -q 'goes on$' "$dir/interrupted"
check "resuming" $RNC train $small --out "$dir/b" --resume --threads 2
check "the same bits after resuming" cmp "$dir/a/last.safetensors" "$dir/b/last.safetensors"
check "the same steps" cmp "$dir/a/steps.csv" "$dir/b/steps.csv"

$RNC train $small --epochs 2 --out "$dir/c" >"$dir/interrupted" 2>&1 &
pid=$!
# Its first epoch has begun when it catches SIGINT (bit 1 of the signals that Linux says it catches).
catches() { [ $((0x0$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status" 2>/dev/null) & 2)) != 0 ]; }
while kill -0 $pid 2>/dev/null && ! catches $pid; do sleep 0.01; done
kill -INT $pid 2>/dev/null
wait $pid
check "Ctrl-C ends it cleanly" test $? = 130
check "resuming after Ctrl-C" $RNC train "$dir/c" --resume
check "the same bits after Ctrl-C" cmp "$dir/a/last.safetensors" "$dir/c/last.safetensors"

if $RNC eval $model --weights "$dir/a/best.safetensors" --json >"$dir/log" 2>&1; then ok; else bad "eval"; fi
cp "$dir/log" "$dir/eval.json"
accuracy=$(number accuracy "$dir/eval.json")
# by seed and by rounding it is 0.56 to 0.92; guessing would give 0.1
check "accuracy of two epochs: $accuracy" at_least "${accuracy:-0}" 0.4
check "as in the log" grep -q "$(printf '%.6f' "${accuracy:-0}")" "$dir/a/log.csv"
check "1,000 images" test "$(number images "$dir/eval.json")" = 1000

# A JPEG and PNG test picture: the curves are a PNG at hand.
if $RNC predict $model --weights "$dir/a/best.safetensors" "$dir/a/curves.png" --top 3 --json >"$dir/log" 2>&1; then
    ok; else bad "predict"; fi
check "three classes" test "$(grep -c '"class"' "$dir/log")" = 3

refuses 1 "fits with -p channels=1 -p size=20" $RNC train resnet20 --out "$dir/x"
refuses 1 "-p classes=10" $RNC train $small -p classes=7 --out "$dir/x"
refuses 1 "no file or folder" $RNC train $small --data "$dir/nowhere" --out "$dir/x"
refuses 1 "the seed was '0' and is now '5'" $RNC train $small --out "$dir/a" --resume --seed 5
refuses 1 "the spec was" $RNC train $small -p width=16 --out "$dir/a" --resume
refuses 1 "nothing to resume" $RNC train $small --out "$dir/x" --resume
refuses 1 "exclude each other" $RNC train $small --out "$dir/x" --resume --init "$dir/a/best.safetensors"
refuses 1 "does not fit model" $RNC train $model -p width=16 --init "$dir/a/best.safetensors" --out "$dir/x"
refuses 1 "needs weights" $RNC eval $model
refuses 1 "can't read" $RNC eval $model --weights "$dir/none.safetensors"
head -c 5000 "$dir/a/best.safetensors" >"$dir/cut.safetensors"
refuses 1 "safetensors" $RNC eval $model --weights "$dir/cut.safetensors"
refuses 1 "linear.weight is [10, 32] in the file and [10, 64] in the model" $RNC eval $model -p width=16 --weights \
    "$dir/a/best.safetensors"
refuses 1 "neither a PNG nor a JPEG" $RNC predict $model --weights "$dir/a/best.safetensors" "$dir/a/log.csv"
refuses 1 "imagenet" $RNC predict $model --weights "$dir/a/best.safetensors" --normalize imagent "$dir/a/curves.png"
refuses 2 "can't make the directory" $RNC train $small --out "$dir/a/log.csv/out"
refuses 1 "training has diverged" $RNC train $small --lr 1e30 --epochs 1 --out "$dir/nan"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
