$rnc bench resnet20 --mode fast
