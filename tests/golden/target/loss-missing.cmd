# A target without a loss, and a spec without losses: for inference it is sound, and needs no target.
$rnc check $here/one-class.yaml --set 'targets.other.type=class'
$rnc check $here/one-class.yaml --set 'loss=[]'
$rnc check $here/one-class.yaml --set 'loss=[]' --set 'targets={}'
$rnc compile $here/one-class.yaml --set 'loss=[]' --set 'targets={}' -o $tmp/m.o >/dev/null && echo compiled
python3 $here/pictures.py classes $tmp/data a b c
$rnc train $here/one-class.yaml --data $tmp/data --epochs 1 --out $tmp/out >/dev/null
$rnc predict $here/one-class.yaml --set 'loss=[]' --set 'targets={}' --weights $tmp/out/last.safetensors $tmp/data/a/0.png 2>/dev/null | grep -c '%'
$rnc train $here/one-class.yaml --set 'loss=[]' --data $tmp/data --out $tmp/x
$rnc train $here/one-class.yaml --set 'loss=[]' --set 'targets={}' --data $tmp/data --out $tmp/x
