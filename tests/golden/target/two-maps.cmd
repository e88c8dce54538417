# Two targets of one mask, each of its own size.
python3 $here/pictures.py halves $tmp/data
$rnc train $here/two-maps.yaml --data $tmp/data --out $tmp/out | awk '/^epoch 3/ { print ($4 < 0.3) ? "both are learnt" : $0 }'
$rnc eval $tmp/out --data $tmp/data 2>/dev/null | grep -E 'pixel_accuracy'
$rnc predict $tmp/out $tmp/data/images/00.png 2>/dev/null | grep -v TMP | tail -6
