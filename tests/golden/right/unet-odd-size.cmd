# A size that four halvings do not divide: the parameter says so; without its bound the concat names both shapes.
$rnc check unet -p size=100
sed '/^  size:/s/, multiple_of: 16//' specs/unet.yaml >$tmp/unet.yaml
$rnc check $tmp/unet.yaml -p size=100
$rnc check $tmp/unet.yaml -p size=112
