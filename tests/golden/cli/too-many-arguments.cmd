$rnc summary resnet20 resnet18
