$rnc bench --seconds x --thread 2 --batch -1 resnet20
