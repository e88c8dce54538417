$rnc summary resnet20 --json=yes
