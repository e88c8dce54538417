$rnc summary
