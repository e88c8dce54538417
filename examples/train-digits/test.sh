#!/bin/sh
# Two epochs must get most digits right, and leave the checkpoint, the log and the picture.
set -eu
here=$(dirname "$0")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
check() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else echo "FAILED: $2"; failed=$((failed + 1)); fi; }
EPOCHS=2 "$here/train.sh" "$out" >"$out/log" 2>&1 && status=0 || status=$?
cat "$out/log"
check $status "train.sh"
for file in last.safetensors best.safetensors log.csv curves.png; do
    [ -s "$out/$file" ] && status=0 || status=1
    check $status "$file"
done
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "val_accuracy") c = i } END { exit !($c > 0.6) }' \
    "$out/log.csv" && status=0 || status=1
check $status "accuracy after two epochs above 60 %"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
