$rnc run resnet20 --train --input x.npy --output y.npy
