# Every command that reads a spec refuses what check refuses, with the same words; and with the shape of the note all take it.
$rnc check $here/unet_r50.yaml 2>&1 | grep -v '= from:'
python3 -c "from files import npy; npy('$tmp/x.npy', (1, 3, 256, 256), [0] * 196608)"
for command in summary expand compile plan verify bench "run --input $tmp/x.npy --output $tmp/y.npy" train 'eval --weights w.safetensors' 'predict --weights w.safetensors x.png'; do
    set -- $command
    $rnc $1 $here/unet_r50.yaml "${@:2}" >$tmp/got 2>&1
    echo "$1: exit $?, $(grep -c 'labels must be i64\[1,128,128\]' $tmp/got)"
done
$rnc check $here/unet_r50.yaml --set 'targets.mask.shape=[128, 128]'
