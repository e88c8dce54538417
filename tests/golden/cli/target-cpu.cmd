$rnc compile resnet20 --target aarch64-linux-gnu --cpu x86-64-v3 -o $tmp/x.o
