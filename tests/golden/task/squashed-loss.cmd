# A loss on values that were brought between 0 and 1 in a way that cannot be seen through: a warning, whose mend is tried.
. $here/specs.sh
ce='softmax_cross_entropy: {from: probs, target: label}'
tensors='s/label: {type: class}/label: {type: tensor, shape: [10]}/'
dense10 '[probs]' "$ce" softmax 'dropout: {as: probs}' >$tmp/dropout.yaml
dense10 '[probs]' "$ce" 'sigmoid: {as: probs}' >$tmp/sigmoid.yaml
dense10 '[probs]' 'binary_cross_entropy: {from: probs, target: label}' 'softmax: {as: probs}' | sed "$tensors" >$tmp/bce.yaml
dense10 '[logits]' 'binary_cross_entropy: {from: logits, target: label, from_logits: false}' | sed "$tensors" >$tmp/raw.yaml
for s in dropout sigmoid bce raw; do $rnc check $tmp/$s.yaml; done
echo the mends:
for s in dropout sigmoid; do sed -i 's/from: probs/from: logits/' $tmp/$s.yaml; done
sed -i 's/target: label}$/target: label, from_logits: false}/' $tmp/bce.yaml
sed -i 's/, from_logits: false//' $tmp/raw.yaml
for s in dropout sigmoid bce raw; do $rnc check $tmp/$s.yaml; done
