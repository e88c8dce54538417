# One output after a sigmoid: 0.5 is 50 %, not 100 % of the only class. No target is needed.
. $here/specs.sh
spec() { printf 'rnc: 1\nmodel: sig\ninputs: {image: {shape: [1, 20, 20]}}\n%slayers:\n  - flatten\n  - dense: {name: fc, out: %s, as: z}\n  - sigmoid: {as: p}\noutputs: [%s]\n' "$2" $1 $3; }
spec 1 '' p >$tmp/one.yaml
spec 1 '' z >$tmp/logit.yaml
spec 2 'classes: [cat, dog]
' p >$tmp/two.yaml
digit $tmp/d.png 0
weights() { python3 -c 'import sys; from files import safetensors; n = int(sys.argv[2]); safetensors(sys.argv[1], {"fc.weight": ([n, 400], [0] * 400 * n), "fc.bias": ([n], [float(v) for v in sys.argv[3:]])})' $tmp/w.safetensors "$@"; }
weights 1 0
said predict $tmp/one.yaml --weights $tmp/w.safetensors $tmp/d.png
said predict $tmp/one.yaml --weights $tmp/w.safetensors $tmp/d.png --json | grep -v image
weights 1 2
said predict $tmp/logit.yaml --weights $tmp/w.safetensors $tmp/d.png
weights 2 1 -1
said predict $tmp/two.yaml --weights $tmp/w.safetensors $tmp/d.png
