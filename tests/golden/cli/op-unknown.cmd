$rnc op batchnorm
