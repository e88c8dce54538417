# The folder of a run in place of the spec: weights, classes and preprocessing are the run's; --no-weights leaves the weights out.
$rnc train resnet20 -p channels=1 -p size=20 -p n=1 -p width=8 --epochs 1 --batch 500 --out $tmp/out >/dev/null
for o in "" --no-weights; do
    $rnc compile $tmp/out $o -o $tmp/model.o | sed -n '/^wrote/,$p' | sed -E 's/[0-9.]+ [KM]iB/N KiB/; s/\[.*\]/[…]/'
    grep -E '_CLASSES|rnc_set\(|rnc_execute_pixels\(' $tmp/model.h
done
$rnc compile $tmp/out -p width=16 -o $tmp/model.o
