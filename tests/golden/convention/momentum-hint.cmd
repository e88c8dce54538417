# Keras' 0.99 in PyTorch's sense, and PyTorch's 0.1 in Keras' sense; not where the sense is given.
. tests/golden/convention/net.sh
for top in "" "conventions: keras"; do
    for given in "momentum: 0.99" "momentum: 0.1" "momentum: 0.99, momentum_of: running" "momentum: 0.99, momentum_of: batch" "momentum: 0.5"; do
        echo "-- $top $given"
        net 2 "[3, 8, 8]" "batch_norm: {name: bn, $given, as: y}" | $rnc check -
    done
done
