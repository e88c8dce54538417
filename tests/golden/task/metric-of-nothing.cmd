# A metric that no pair of the spec can have is an error at its line.
. $here/specs.sh
dense10 '[logits]' 'softmax_cross_entropy: {from: logits, target: label}' | sed 's/metrics: .*/metrics: [accuracy, miou]/' >$tmp/s.yaml
$rnc check $tmp/s.yaml; echo $?
$rnc train $tmp/s.yaml --out $tmp/out
