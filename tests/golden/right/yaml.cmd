# Numbers as people write them, BOM and CRLF; what YAML would read otherwise than it looks is an error with its place.
spec() { printf 'rnc: 1\nmodel: net\ninputs: {x: {shape: [3, 8, 8]}}\ntargets: {t: {type: class}}\nlayers: [flatten, {dense: {name: fc, out: 2, as: y}}]\noutputs: [y]\nloss: [{softmax_cross_entropy: {from: y, target: t}}]\ntrain: {batch: 4, optimizer: {sgd: {lr: %s}}}\n' "$1"; }
for lr in 1e-4 .1 9E-1 1 '"0.1"' 0x8 1_0 no '0.1, lr: 0.2'; do
    echo "lr: $lr"
    spec "$lr" >$tmp/net.yaml
    $rnc expand $tmp/net.yaml 2>&1 | grep -E 'lr:|error|=' | sed 's/.*{lr: \([^,}]*\).*/    read as \1/'
done
spec 0.1 >$tmp/net.yaml
{ printf '\357\273\277'; sed 's/$/\r/' $tmp/net.yaml; } >$tmp/windows.yaml
$rnc check $tmp/windows.yaml
printf 'rnc: 1\nmodel: net\nlayers:\n\t- relu\n' >$tmp/tab.yaml
$rnc check $tmp/tab.yaml
