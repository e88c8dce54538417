$rnc run resnet20
