# --all of data that have parts: which one is meant?
$rnc train tests/golden/data/tiny.yaml -p classes=10 -p size=20 --epochs 1 --out $tmp/out >$tmp/log && $rnc eval tests/golden/data/tiny.yaml -p classes=10 -p size=20 --weights $tmp/out/best.safetensors --all
