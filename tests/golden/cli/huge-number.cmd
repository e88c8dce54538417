$rnc summary resnet20 --batch 99999999999999999999
