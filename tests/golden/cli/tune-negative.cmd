$rnc compile resnet18 --tune -1s
