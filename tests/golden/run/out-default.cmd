# Without --out: out, then out-2; --resume takes the last one.
. tests/golden/run/small.sh
short() { calm | grep -v '^batch\|^epoch\|^t on'; }
train="$(realpath "$rnc") train $tmp/t.yaml --data $tmp/data --threads 1"
cd "$tmp" || exit
$train --epochs 1 | short
$train --epochs 1 --seed 7 | short
$train --epochs 1 --seed 7 --resume | short
$train --epochs 1 --seed 8 --overwrite | short
ls -d out*
