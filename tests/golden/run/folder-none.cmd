# Folders that hold no run, and what needs weights.
. tests/golden/run/small.sh
mkdir "$tmp/empty"
$rnc eval "$tmp/empty"; echo "exit $?"
$rnc eval "$tmp/t.yaml"; echo "exit $?"
$train --epochs 1 --out "$tmp/out" >/dev/null || exit
rm "$tmp/out/"*.safetensors
$rnc eval "$tmp/out"; echo "exit $?"
