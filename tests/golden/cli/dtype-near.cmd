"$rnc" bench resnet20 --dtype bf61
