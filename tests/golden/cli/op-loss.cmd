$rnc op softmax_cross_entropy
