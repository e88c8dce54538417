for name in '' a-b 'a b' é open kernel; do $rnc compile tests/object/net.yaml --name "$name" -o $tmp/net.o; done
ls $tmp
$rnc compile tests/object/net.yaml --name net
