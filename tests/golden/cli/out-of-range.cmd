$rnc summary resnet20 --batch 0
