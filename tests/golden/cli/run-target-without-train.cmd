$rnc run resnet20 --target t.npy --input x.npy --output y.npy
