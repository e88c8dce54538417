echo hello >$tmp/x.npy; $rnc run resnet20 --input $tmp/x.npy --output $tmp/y.npy; s=$?; ls -A $tmp; exit $s
