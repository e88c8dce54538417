$rnc compile resnet18 --tune 30
