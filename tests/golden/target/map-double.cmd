# Maps larger than the image: twice, and 64 times.
python3 $here/pictures.py masks $tmp/data
$rnc train $here/map-double.yaml --data $tmp/data --batch 2 --epochs 3 --out $tmp/out | grep -o '^best miou.*%'
$rnc eval $here/map-double.yaml --weights $tmp/out/last.safetensors --data $tmp/data | grep -E 'miou|pixel_'
$rnc train $here/map-large.yaml --data $tmp/data --batch 8 --epochs 1 --out $tmp/large | grep -c '^best miou'
