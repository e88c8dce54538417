# A run's folder takes the place of its spec: spec, weights, data and pixels come from it.
. tests/golden/run/small.sh
$train -p width=6 --epochs 1 --out "$tmp/out" >/dev/null || exit
ls -A "$tmp/out"
grep -v "started\|cpu" "$tmp/out/run.json"
$rnc expand "$tmp/t.yaml" -p width=6 >"$tmp/expanded.yaml"
tail -n +2 "$tmp/out/spec.yaml" | cmp - "$tmp/expanded.yaml" && echo "spec.yaml is the spec, expanded"
program=$(realpath "$rnc"); cd / || exit
"$program" eval "$tmp/out" --json | grep -v 'per_s\|"loss"' >"$tmp/a"
cd "$OLDPWD" || exit
$rnc eval "$tmp/t.yaml" -p width=6 --data "$tmp/data" --weights "$tmp/out/best.safetensors" --json | grep -v 'per_s\|"loss"' >"$tmp/b"
cat "$tmp/a"
sed 's/"weights": .*//' "$tmp/a" >"$tmp/a2"; sed 's/"weights": .*//' "$tmp/b" | cmp - "$tmp/a2" && echo "the same"
$rnc check "$tmp/out"
$rnc predict "$tmp/out" "$tmp/out/curves.png" --top 1 --json | grep -c '"class"'
$rnc bench "$tmp/out" --seconds 0.05 --json | grep '"model"'
for command in summary verify expand plan compile; do $rnc $command "$tmp/out" >"$tmp/log" 2>&1 && echo "$command takes it"; done
python3 - "$tmp" <<'PY'
import sys
from files import npy
npy(sys.argv[1] + "/x.npy", (1, 1, 12, 12), [0.5] * 144)
PY
$rnc run "$tmp/out" --input "$tmp/x.npy" --output "$tmp/y.npy" && test -s "$tmp/y.npy" && echo "run takes it"
