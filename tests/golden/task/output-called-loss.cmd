# An output can't take the name of the losses' sum: its first element was the loss.
. $here/specs.sh
dense10 '[loss]' 'softmax_cross_entropy: {from: loss, target: label}' | sed 's/as: logits/as: loss/' >$tmp/s.yaml
$rnc check $tmp/s.yaml
