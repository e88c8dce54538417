# Two heads. An auxiliary loss is in the validation loss, and shown alone; a head that is trained is the one that is scored, output or not.
. $here/specs.sh
ce='softmax_cross_entropy: {from: logits, target: label}'
dense10 '[logits]' "$ce
  - softmax_cross_entropy: {from: aux, target: label, weight: 0.4}" 'dense: {name: a, out: 10, from: x, as: aux}' >$tmp/aux.yaml
$rnc train $tmp/aux.yaml --out $tmp/aux >/dev/null || exit
head -1 $tmp/aux/log.csv
for k in 'val_loss' 'val_loss.logits' 'val_loss.aux'; do column $tmp/aux/log.csv $k; done | awk '{ v[NR] = $1 } END { d = v[1] - v[2] - v[3]; print (d < 1e-6 && d > -1e-6 && v[3] > 0.05) ? "the sum of both" : v[1] " " v[2] " " v[3] }'
said eval $tmp/aux.yaml --weights $tmp/aux/last.safetensors | grep -E '^(loss|acc|scored)' | sed 's/[0-9.]*\( %\)*$//'
dense10 '[other]' "$ce" 'dense: {name: b, out: 10, from: x, as: other}' >$tmp/only.yaml
$rnc train $tmp/only.yaml --out $tmp/only >/dev/null || exit
awk -v x="$(column $tmp/only/log.csv val_accuracy)" 'BEGIN { print (x > 0.8 ? "the head that was trained" : x) }'
said eval $tmp/only.yaml --weights $tmp/only/last.safetensors | grep scored
