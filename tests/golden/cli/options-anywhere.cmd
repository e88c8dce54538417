$rnc summary --batch=2 resnet20 -pn=1 --json -p size=16 >$tmp/1
$rnc summary -p n=1 --param size=16 --json --batch 2 -- resnet20 >$tmp/2
cmp $tmp/1 $tmp/2 && grep '"batch"' $tmp/1 | head -n 1
