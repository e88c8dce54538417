$rnc compile resnet20 --target aarch64-linux-gnux -o $tmp/x.o
$rnc compile resnet20 --target riscv64-linux-gnu -o $tmp/x.o
