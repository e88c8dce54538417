# A map of half the image's size: each sample reads its own label, and the two kinds of pictures are told apart.
python3 $here/pictures.py masks $tmp/data
$rnc train $here/map-half.yaml --data $tmp/data --no-shuffle --batch 2 --epochs 3 --out $tmp/out | grep -o 'best pixel.*epoch'
$rnc predict $here/map-half.yaml --weights $tmp/out/last.safetensors $tmp/data/images/00.png $tmp/data/images/01.png
