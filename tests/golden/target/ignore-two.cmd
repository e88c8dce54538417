$rnc check $here/ignore-two.yaml
