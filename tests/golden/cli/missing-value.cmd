$rnc summary resnet20 --batch
