$rnc op conv2d
