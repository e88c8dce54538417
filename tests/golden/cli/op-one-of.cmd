$rnc op resize
