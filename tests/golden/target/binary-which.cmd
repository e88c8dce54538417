# Which class is 1 has to be known.
python3 $here/pictures.py classes $tmp/a ill well
python3 $here/pictures.py classes $tmp/yes no Yes
python3 $here/pictures.py classes $tmp/three a b c
sed 's/, positive: $positive//' $here/binary.yaml >$tmp/any.yaml
$rnc train $tmp/any.yaml --data $tmp/a --overwrite --out $tmp/out
$rnc train $tmp/any.yaml --data $tmp/yes --overwrite --out $tmp/out --epochs 1 | grep -c '^epoch 1/1'
$rnc train $here/binary.yaml --data $tmp/yes --overwrite --out $tmp/out
$rnc train $here/binary.yaml --data $tmp/three --overwrite --out $tmp/out
$rnc check $here/binary.yaml --set 'classes=[ill, well]'
$rnc check $here/binary.yaml --set 'classes=[sick, well]'
$rnc check $tmp/any.yaml --set 'classes=[sick, well]'
$rnc check $here/binary.yaml --set 'targets.ill.shape=[1]'
$rnc check $here/binary.yaml --set 'targets.ill.type=tensor'
