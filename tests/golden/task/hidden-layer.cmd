# The first output is a hidden layer of ten features: metrics are of the loss's pair, predict prints features as values.
. $here/specs.sh
dense10 '[features, logits]' 'softmax_cross_entropy: {from: logits, target: label}' | sed 's/^  - dense.*/  - dense: {name: f, out: 10}\n  - relu: {as: features}\n&/' >$tmp/feat.yaml
$rnc train $tmp/feat.yaml --epochs 6 --out $tmp/out >/dev/null || exit
awk -v x="$(column $tmp/out/log.csv val_accuracy)" 'BEGIN { print (x > 0.8 ? "the accuracy of the logits" : x) }'
said eval $tmp/feat.yaml --weights $tmp/out/last.safetensors | grep scored
digit $tmp/d.png 0
said predict $tmp/feat.yaml --weights $tmp/out/last.safetensors --top 2 $tmp/d.png | sed 's/^ *[0-9.e+-]* \( % \)*/  # /'
