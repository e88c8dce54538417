# Without a loss: what is scored is said, or refused where there is a choice.
. $here/specs.sh
dense10 '[logits]' X | sed '/^targets/d; /^loss/,/^metrics/d' >$tmp/one.yaml
dense10 '[x, logits]' X | sed '/^targets/d; /^loss/,/^metrics/d' >$tmp/two.yaml
python3 -c 'import sys; from files import safetensors; safetensors(sys.argv[1], {"fc.weight": ([10, 400], [0] * 4000), "fc.bias": ([10], [1] + [0] * 9)})' $tmp/w.safetensors
said eval $tmp/one.yaml --weights $tmp/w.safetensors | grep -v 'images in'
said eval $tmp/one.yaml --weights $tmp/w.safetensors --json | grep -E 'loss|accuracy|scored|output|target'
said eval $tmp/two.yaml --weights $tmp/w.safetensors
