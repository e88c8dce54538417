$rnc help sumary
