$rnc compile resnet20 --target aarch64-unknown-linux-gnu -o $tmp/x.o | grep "for armv8-a"
grep -o "for armv8-a" $tmp/x.h
