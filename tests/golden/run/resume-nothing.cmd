# Nothing to go on with, and what helps.
. tests/golden/run/small.sh
$train --resume --out "$tmp/none"; ls -d "$tmp/none"
$train --epochs 1 --out "$tmp/out" >/dev/null || exit
mkdir "$tmp/new"; cp "$tmp/out/run.json" "$tmp/out/spec.yaml" "$tmp/new"
$train --resume --out "$tmp/new"
mv "$tmp/out/last.safetensors" "$tmp/out/last.safetensors.old"
$train --resume --out "$tmp/out"; echo "exit $?"
