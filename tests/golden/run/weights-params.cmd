# A spec beside weights: a parameter that differs is told by name.
. tests/golden/run/small.sh
$train -p size=12 --epochs 1 --out "$tmp/out" >/dev/null || exit
sed -i 's/size: 12/size: 16/' "$tmp/t.yaml"
$rnc eval "$tmp/t.yaml" --data "$tmp/data" --weights "$tmp/out/best.safetensors"; echo "exit $?"
$rnc predict "$tmp/t.yaml" --weights "$tmp/out/best.safetensors" "$tmp/out/curves.png"; echo "exit $?"
$rnc predict "$tmp/t.yaml" -p size=20 --weights "$tmp/out/best.safetensors" "$tmp/out/curves.png" --json | grep -c '"class"'
$rnc eval "$tmp/t.yaml" -p size=12 --data "$tmp/data" --weights "$tmp/out/best.safetensors" --json | grep '"images":'
