$rnc trian
