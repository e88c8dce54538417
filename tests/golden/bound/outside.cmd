# A spec uses specs below its own folder and the shipped ones; nothing of another file is read or shown.
mkdir -p $tmp/in/sub $tmp/other
echo 'password: "hunter2' >$tmp/secret.yaml
layers='rnc: 1\nmodel: m\ninputs: {x: {shape: [1, 4, 4]}}\nlayers:\n  - relu: {as: y}\noutputs: [y]\n'
printf "$layers" >$tmp/in/sub/body.yaml
printf "$layers" >$tmp/other/body.yaml
ln -s ../secret.yaml $tmp/in/link.yaml
uses() { printf "rnc: 1\nmodel: n\ninputs: {image: {shape: [1, 4, 4]}}\nuse:\n  b: {spec: $1, taps: {t: y}}\nlayers:\n  - relu: {from: b.t, as: z}\noutputs: [z]\n" >$tmp/in/n.yaml; }
for f in sub/body.yaml ../other/body.yaml ../secret.yaml link.yaml $tmp/secret.yaml /etc/passwd ../nosuch.yaml; do
    uses $f
    $rnc check $tmp/in/n.yaml
done
uses ../other/body.yaml
$rnc check $tmp/in/n.yaml --allow-outside
