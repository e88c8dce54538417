# The compiler's stack is its own, whatever the shell gives: 128 KiB here. What nests too deep is refused.
ulimit -s 128
$rnc check resnet18
$rnc compile resnet20 -p n=1 -p size=8 --threads 1 --emit ir | grep -o '^graph @resnet20 batch=1'
python3 -c "
print('rnc: 1\nmodel: m\ninputs: {x: {shape: [1, 2, 2]}}\nlayers: ' + '[' * 100000 + ']' * 100000)" >$tmp/deep.yaml
$rnc check $tmp/deep.yaml 2>&1 | cut -c 1-120 | sed 's/ *|.*//' | head -n 1
python3 -c "
print('rnc: 1\nmodel: m\nparams: {p: ' + chr(36) + '(' * 5000 + '1' + ')' * 5000 + '}\ninputs: {x: {shape: [1, 2, 2]}}\nlayers: [{relu: {as: y}}]\noutputs: [y]')" >$tmp/sum.yaml
$rnc check $tmp/sum.yaml 2>&1 | cut -c 1-120 | head -n 1
