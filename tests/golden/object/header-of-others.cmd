# A header that rnc did not write stays; its own is replaced.
net=tests/object/net.yaml
echo "int mine;" >$tmp/mine.h
$rnc compile $net -o $tmp/mine.o
ls $tmp
cat $tmp/mine.h
$rnc compile $net -o $tmp/mine.h
$rnc compile $net -o $tmp/mine.so
ls $tmp
: >$tmp/empty.h
$rnc compile $net -o $tmp/empty.o | tail -n 1 | sed "s|, [0-9.]* KiB||"
$rnc compile $net --batch 2 -o $tmp/empty.h | tail -n 1
grep BATCH $tmp/empty.h
