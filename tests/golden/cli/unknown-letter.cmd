$rnc summary resnet20 -x
