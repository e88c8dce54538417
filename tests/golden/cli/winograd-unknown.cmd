$rnc compile resnet20 --winograd f3
