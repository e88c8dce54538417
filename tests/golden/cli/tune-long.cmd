$rnc compile resnet18 --tune 2000m
