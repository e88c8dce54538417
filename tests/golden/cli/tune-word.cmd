$rnc compile resnet18 --tune fast
