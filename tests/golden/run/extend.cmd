# More epochs for a finished run: the schedule is what it was, and behind its end comes the rate that was named.
. tests/golden/run/small.sh
quiet() { "$@" 2>&1 | grep -v '^t on\|^images\|^batch\|^epoch\|^1 error'; }
$train --out "$tmp/out" >/dev/null || exit
quiet $train --epochs 6 --lr 0.5 --out "$tmp/out" --resume
quiet $rnc train "$tmp/out" --extend 2
quiet $rnc train "$tmp/out" --extend 2 --epochs 4
quiet $rnc train "$tmp/out" --extend 2 --lr 0.004 | calm
cut -d, -f1-3 "$tmp/out/log.csv"
quiet $rnc train "$tmp/out" --extend 1 | calm
cut -d, -f1-3 "$tmp/out/log.csv" | tail -1
fresh part
quiet $rnc train "$tmp/part" --extend 1 --lr 0.1 | sed -E 's/done [0-9]+/done N/'
quiet $rnc train "$tmp/t.yaml" --allow-drift
