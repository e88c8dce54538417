# Outputs after softmax, the loss on the logits: the same validation loss, metrics and predictions as with the logits as outputs.
. $here/specs.sh
ce='softmax_cross_entropy: {from: logits, target: label}'
dense10 '[logits]' "$ce" >$tmp/logits.yaml
dense10 '[probs]' "$ce" 'softmax: {as: probs}' >$tmp/probs.yaml
for s in logits probs; do $rnc train $tmp/$s.yaml --out $tmp/$s >/dev/null || exit; done
cut -d, -f1-7 $tmp/logits/log.csv >$tmp/a; cut -d, -f1-7 $tmp/probs/log.csv | diff $tmp/a - && echo same log
awk -v x="$(column $tmp/probs/log.csv val_loss)" 'BEGIN { print (x > 0.35 && x < 0.5) ? "a loss of logits" : x }'
figures() { said eval $1 --weights $tmp/logits/last.safetensors 2>/dev/null | grep -E '^(accuracy|top|loss)'; }
figures $tmp/logits.yaml >$tmp/a; figures $tmp/probs.yaml | diff $tmp/a - && echo same figures
said eval $tmp/probs.yaml --weights $tmp/logits/last.safetensors 2>/dev/null | grep scored
digit $tmp/d.png 0
for s in logits probs; do said predict $tmp/$s.yaml --weights $tmp/logits/last.safetensors $tmp/d.png >$tmp/$s.txt 2>/dev/null; done
cmp $tmp/logits.txt $tmp/probs.txt && grep -m1 % $tmp/probs.txt | sed 's/.*% //'
said predict $tmp/probs.yaml --weights $tmp/logits/last.safetensors --json --top 1 $tmp/d.png 2>/dev/null | grep -E 'output|kind|class'
