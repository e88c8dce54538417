# What belongs to -o, and what excludes each other.
net=tests/object/net.yaml
$rnc compile $net --weights w.safetensors
$rnc compile $net --no-weights
$rnc compile $net --no-weights --weights w.safetensors -o $tmp/net.o
$rnc compile $net --weights $tmp/none.safetensors -o $tmp/net.o
ls $tmp
