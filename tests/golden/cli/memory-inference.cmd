$rnc compile resnet18 --memory-budget 2GiB
