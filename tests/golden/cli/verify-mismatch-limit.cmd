$rnc verify resnet20 -p n=1 -p size=8 --samples 0 --forward 0 >/dev/null; echo $?
