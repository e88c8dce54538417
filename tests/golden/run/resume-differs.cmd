# Whatever makes another run is named, with both values; options that are not given are the run's.
. tests/golden/run/small.sh
fresh out --seed 3 --lr 0.02
again() { echo "-- $*"; $rnc train "$tmp/out" --resume "$@" 2>&1 >/dev/null | sed -E 's/hash [0-9a-f]+/hash H/g; s/[0-9]+ partial/N partial/g'; }
again --seed 4 --lr 0.1 --batch 16 --winograd off --epochs 3 --no-shuffle
again --normalize none
again --dtype bf16 | grep dtype:
again --init x
sed -i 's/p: 0.2/p: 0.3/; s/adamw: {lr: 0.01}/sgd: {lr: 0.01}/' "$tmp/t.yaml"
echo "another spec:"; $train --resume --out "$tmp/out" 2>&1 >/dev/null
printf '\x77' | dd of="$tmp/data/t10k-images-idx3-ubyte" bs=1 seek=40 conv=notrunc status=none
echo "one byte of a picture:"; again
