$rnc summary resnet20 --jsn
