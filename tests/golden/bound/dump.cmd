# Blocks and stages have paths, for --dump as for taps.
python3 -c "from files import npy; npy('$tmp/x.npy', (1, 3, 32, 32), [i % 7 / 7 for i in range(3072)])"
run() { $rnc run resnet20 -p n=1 --input $tmp/x.npy "$@"; }
run --dump layer1.0=$tmp/block.npy --dump layer1=$tmp/stage.npy --dump layer1.0.relu.1=$tmp/layer.npy &&
    cmp $tmp/block.npy $tmp/layer.npy && cmp $tmp/stage.npy $tmp/layer.npy && echo the same
run --dump layer2.1=$tmp/x1.npy
