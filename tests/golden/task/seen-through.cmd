# A loss that applies softmax, or sigmoid, after one: it takes the logits, with the same bits, and says so.
. $here/specs.sh
dense10 '[probs]' 'softmax_cross_entropy: {from: logits, target: label}' 'softmax: {as: probs}' >$tmp/right.yaml
dense10 '[probs]' 'softmax_cross_entropy: {from: probs, target: label}' 'softmax: {as: probs}' >$tmp/twice.yaml
$rnc check $tmp/twice.yaml
for s in right twice; do $rnc train $tmp/$s.yaml --out $tmp/$s >/dev/null 2>&1 || exit; done
cmp $tmp/right/steps.csv $tmp/twice/steps.csv && echo same steps
cut -d, -f1-7 $tmp/right/log.csv >$tmp/a; cut -d, -f1-7 $tmp/twice/log.csv | diff $tmp/a - && echo same log
# BCE, and a view in between
tensors='s/label: {type: class}/label: {type: tensor, shape: [10]}/'
dense10 '[probs]' 'binary_cross_entropy: {from: logits, target: label}' 'sigmoid: {as: probs}' | sed "$tensors" >$tmp/right.yaml
dense10 '[probs]' 'binary_cross_entropy: {from: flat, target: label}' 'sigmoid: {as: probs}' 'flatten: {as: flat}' | sed "$tensors" >$tmp/twice.yaml
python3 -c '
from files import npy
import sys
npy(sys.argv[1] + "/x.npy", [2, 1, 20, 20], [(k % 7) / 7 for k in range(800)])
npy(sys.argv[1] + "/t.npy", [2, 10], [k % 2 for k in range(20)])' $tmp
for s in right twice; do $rnc run $tmp/$s.yaml --train --input $tmp/x.npy --target $tmp/t.npy --grads $tmp/$s.safetensors | cut -c1-9; done
cmp $tmp/right.safetensors $tmp/twice.safetensors && echo same gradients
