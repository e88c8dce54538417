# A run that was interrupted, over and over, comes to the same bits, from its folder alone, and then has nothing left to do.
. tests/golden/run/small.sh
train="$train --epochs 30 --no-augment --seed 3 --lr 0.02"
$train --out "$tmp/b" >/dev/null || exit
interrupted $train --out "$tmp/a" >"$tmp/log"
mv "$tmp/t.yaml" "$tmp/gone.yaml"
for again in 1 2 3; do interrupted $rnc train "$tmp/a" --resume --threads 2 >"$tmp/log"; done
$rnc train "$tmp/a" --resume >/dev/null; echo "exit $?"
for f in last.safetensors best.safetensors steps.csv; do cmp "$tmp/a/$f" "$tmp/b/$f" && echo "$f: the same"; done
cut -d, -f1-7 "$tmp/a/log.csv" >"$tmp/a.log"; cut -d, -f1-7 "$tmp/b/log.csv" | cmp - "$tmp/a.log" && echo "log.csv: the same"
$rnc train "$tmp/a" --resume | grep finished; echo "exit $?"
