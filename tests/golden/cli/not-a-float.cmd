$rnc bench resnet20 --seconds soon
