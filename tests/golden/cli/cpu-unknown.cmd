$rnc compile resnet20 --cpu x86-64-v5
