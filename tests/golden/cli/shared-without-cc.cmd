CC=no-such-compiler $rnc compile resnet20 -p n=1 -o $tmp/model.so; s=$?; ls -A $tmp; exit $s
