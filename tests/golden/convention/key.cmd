# The keys `rnc` and `conventions`, and what they cannot be.
. tests/golden/convention/net.sh
for version in 1 2 3 two 1.0; do echo "-- rnc: $version"; net "$version" "[3, 8, 8]" "relu: {as: y}" | $rnc check -; done
for top in "conventions: keras" "conventions: pytroch" "conventions: tensorflow" "conventions: [keras]" "conventions:" "convention: keras"; do
    echo "-- $top"
    net 2 "[3, 8, 8]" "relu: {as: y}" | $rnc check -
done
top="params: {whose: {default: pytorch, one_of: [pytorch, keras]}}
conventions: \$whose"
echo "-- a parameter"
for whose in pytorch keras; do
    net 2 "[3, 8, 8]" "batch_norm: {name: bn, as: y}" | $rnc expand - -p whose=$whose | grep batch_norm
done
