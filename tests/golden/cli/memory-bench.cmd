$rnc bench resnet18 --memory-budget 2GB
