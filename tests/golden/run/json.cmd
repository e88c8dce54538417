# With --json: a line for each epoch, then one for the run; errors as lines too, on standard error.
. tests/golden/run/small.sh
$train --out "$tmp/out" --json >"$tmp/lines" || exit
python3 - "$tmp/lines" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    j = json.loads(line)
    for key in j:
        if isinstance(j[key], float) or key in ("best", "best_epoch"): j[key] = "…"
    print(sorted(j.items()))
PY
$train --out "$tmp/out" --json; echo "exit $?"
sed 's/out: $width/outs: $widht/' "$tmp/t.yaml" >"$tmp/bad.yaml"
$rnc summary "$tmp/bad.yaml" --json 2>&1 | sed "s/attributes: [^\"]*/attributes: …/"
$rnc eval "$tmp/out" --data /dev/null/x --json; echo "exit $?"
$rnc train --json; echo "exit $?"
