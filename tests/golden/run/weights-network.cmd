# A spec beside weights that fit it, and were trained by another network: said. Only its training differs: not a word.
. tests/golden/run/small.sh
$train --epochs 1 --out "$tmp/out" >/dev/null || exit
predict="$rnc predict $tmp/t.yaml --weights $tmp/out/best.safetensors $tmp/out/curves.png --top 1 --json"
sed -i 's/lr: 0.01/lr: 0.02/; s/epochs: 2/epochs: 7/' "$tmp/t.yaml"
$predict | grep -c '"class"'
sed -i 's/- relu$/- elu/' "$tmp/t.yaml"
$predict | grep -c '"class"'
