# Masks of 0 and 1, and of 0 and 255, are zeros and ones for a sigmoid; masks of classes are not.
for value in 1 255 2; do
    python3 $here/pictures.py masks $tmp/$value $value
    $rnc train $here/binary-map.yaml --data $tmp/$value --overwrite --out $tmp/out | awk '/^epoch 3/ { print ($4 < 0.5) ? "learnt" : $0 }'
done
$rnc eval $tmp/out --data $tmp/1 --weights $tmp/out/last.safetensors 2>/dev/null | grep -E 'pixel_accuracy|iou'
