$rnc compile resnet20 --emit asn
