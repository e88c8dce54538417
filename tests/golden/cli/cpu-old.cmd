$rnc compile resnet20 --cpu x86-64 -o $tmp/x.o
$rnc bench resnet20 --cpu x86-64-v2
