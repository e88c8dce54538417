#!/usr/bin/env bash
# dtype: bf16 from the command line: every node of whole networks against its operator's reference, which rounds what is
# stored; training to the same bits on 1, 2 and 3 threads and over --resume, which needs no --dtype; less memory;
# figures from bench. Arguments: words that a case's name must contain.
set -u
cd "$(dirname "$0")/../.." || exit 2
rnc=${RNC:-build/rnc}
case $rnc in /*) ;; *) rnc=$PWD/$rnc ;; esac
passed=0 failed=0
. "$(dirname "$0")/../support/interrupted.sh"
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

begin() { name=$1 ok=1; case $name in *"${word:-}"*) ;; *) return 1 ;; esac; }
finish() { if [ $ok = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
complain() {
    echo "FAILED: $name: $*    (alone: tests/bf16/run.sh '$name')"
    grep -aE 'WRONG|error|warning|checks passed' "$work/out" | head -n 20 | sed 's/^/    /'
    ok=0
}
word=${1:-}

while read -r spec args; do
    begin "verify $spec $args" || continue
    # shellcheck disable=SC2086
    "$rnc" verify $spec $args --dtype bf16 --samples 0 >"$work/out" 2>&1 || complain "it is not right"
    finish
done <<'CASES'
tests/diff/nets/bottleneck.yaml
tests/diff/nets/depthwise.yaml
tests/diff/nets/heads.yaml --batch 3
tests/diff/nets/mlp.yaml
tests/diff/nets/pyramid.yaml
tests/diff/nets/segment.yaml
tests/diff/nets/segment.yaml --cpu x86-64-v3
resnet20 -p n=1 -p size=16 --winograd off
resnet20 -p n=1 -p size=16 --winograd f4
resnet20 -p n=1 -p size=16 --cpu x86-64-v3
resnet50 -p width=8 -p size=64
unet -p width=12 -p size=32
CASES

train="$rnc train resnet20 -p n=1 -p channels=1 -p size=20 --set train.batch=96 --set train.schedule=constant --seed 5"

if begin threads; then
    for threads in 1 2 3; do $train --dtype bf16 --epochs 1 --threads $threads --out "$work/t$threads" >"$work/out" \
        2>&1 || complain "train fails"; done
    for threads in 2 3; do cmp "$work/t1/last.safetensors" "$work/t$threads/last.safetensors" ||
        complain "other bits on $threads threads"; done
    $train --epochs 1 --out "$work/f32" >"$work/out" 2>&1 || complain "train fails"
    cmp -s "$work/t1/last.safetensors" "$work/f32/last.safetensors" && complain "the same bits as in f32: is bf16 used?"
    finish
fi

if begin resume; then
    $train --dtype bf16 --epochs 2 --out "$work/whole" >"$work/out" 2>&1 || complain "train fails"
    interrupted $train --dtype bf16 --epochs 2 --out "$work/parts" >"$work/out"
    $train --out "$work/parts" --resume >"$work/out" 2>&1 || complain "--resume without --dtype fails"
    cmp "$work/whole/last.safetensors" "$work/parts/last.safetensors" ||
        complain "--resume does not take the checkpoint's dtype"
    $train --out "$work/parts" --resume --dtype f32 >"$work/out" 2>&1 &&
        complain "another --dtype is taken over a checkpoint's"
    "$rnc" eval resnet20 -p n=1 -p channels=1 -p size=20 --weights "$work/whole/best.safetensors" --dtype bf16 \
        >"$work/out" 2>&1 || complain "eval --dtype fails"
    finish
fi

# Percents of what f32 takes. (At batch 32 more of it are gradients of weights, which stay fp32.)
while read -r batch most; do
    begin "memory at batch $batch" || continue
    plain=$("$rnc" plan resnet20 --train --batch "$batch" --json 2>/dev/null |
        sed -n 's/.*"planned_bytes": *\([0-9]*\).*/\1/p')
    narrow=$("$rnc" plan resnet20 --train --batch "$batch" --json --dtype bf16 2>/dev/null |
        sed -n 's/.*"planned_bytes": *\([0-9]*\).*/\1/p')
    : >"$work/out"
    [ -n "$plain" ] && [ -n "$narrow" ] && [ $((narrow * 100)) -lt $((plain * most)) ] ||
        complain "a step takes ${narrow:-?} bytes, ${plain:-?} in f32"
    finish
done <<'CASES'
32 65
128 60
CASES

if begin bench; then
    "$rnc" bench resnet20 --batch 2 --seconds 0.1 --dtype bf16 --json >"$work/out" 2>&1 || complain "bench fails"
    grep -q '"dtype": "bf16"' "$work/out" || complain "the JSON does not say bf16"
    "$rnc" bench resnet20 --mode train --batch 4 --seconds 0.1 --dtype bf16 >"$work/out" 2>&1 ||
        complain "bench --mode train fails"
    grep -q 'bf16' "$work/out" || complain "the report does not say bf16"
    finish
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
