$rnc compile resnet20 -o $tmp/model.elf
