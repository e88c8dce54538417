$rnc compile resnet20 -p n=1 -o $tmp/missing/model.o; s=$?; ls -A $tmp; exit $s
