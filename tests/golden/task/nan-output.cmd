# NaN in an output is an error that names it: no "nan %", no 0.0. The first layer overflows; infinity times 0 is no number.
. $here/specs.sh
dense10 '[logits]' 'softmax_cross_entropy: {from: logits, target: label}' | sed 's/^  - dense/  - dense: {name: f, out: 2}\n&/' >$tmp/s.yaml
digit $tmp/d.png 0
weights() { python3 -c 'import sys; from files import safetensors; safetensors(sys.argv[1], {"f.weight": ([2, 400], [3e38] * 800), "f.bias": ([2], [0, 0]), "fc.weight": ([10, 2], [1, 1] * 3 + [float(sys.argv[2])] * 2 + [1, 1] * 6), "fc.bias": ([10], [0] * 10)})' $tmp/w.safetensors $1; }
weights 0
said predict $tmp/s.yaml --weights $tmp/w.safetensors --normalize none $tmp/d.png; echo $?
said predict $tmp/s.yaml --weights $tmp/w.safetensors --normalize none $tmp/d.png --json; echo $?
said eval $tmp/s.yaml --weights $tmp/w.safetensors --normalize none; echo $?
python3 -c 'import sys; from files import npy; npy(sys.argv[1], [2, 1, 20, 20], [1] * 800)' $tmp/x.npy
$rnc run $tmp/s.yaml --weights $tmp/w.safetensors --input $tmp/x.npy --output $tmp/y.npy; echo $?
ls $tmp/y.npy
weights 1
said predict $tmp/s.yaml --weights $tmp/w.safetensors --normalize none $tmp/d.png
