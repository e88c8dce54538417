$rnc summary resnet20 -p classes
