$rnc run resnet20 --input $tmp/x.npy --output $tmp/y.npy
