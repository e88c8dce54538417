# An image and its mask go through the same flips and crops, and then the mask is brought to the target's size.
python3 $here/pictures.py halves $tmp/data
$rnc train $here/map-half.yaml --data $tmp/data --batch 2 --epochs 3 --out $tmp/out --set 'train.augment=[{flip: {horizontal: true}}]' | grep -o '^best pixel.*%'
