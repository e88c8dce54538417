$rnc summary resnet20 --json >/dev/full
