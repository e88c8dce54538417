"$rnc" compile resnet20 --dtype half
