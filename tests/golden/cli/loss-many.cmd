npy() { /usr/bin/python3 -c "import numpy, sys; a = $2; numpy.save(sys.argv[1], a)" "$1"; }
npy $tmp/x.npy "numpy.zeros((1, 3, 8, 8), 'f4')"; npy $tmp/t.npy "numpy.ones((1, 3, 8, 8), 'f4')"
{
    printf 'rnc: 1\nmodel: many\ninputs:\n  image: {shape: [3, 8, 8]}\ntargets:\n  want: {type: tensor, shape: [3, 8, 8]}\n'
    printf 'layers:\n  - conv2d: {name: conv, out: 3, kernel: 1, bias: false}\n  - add: {with: image, as: y}\noutputs: [y]\nloss:\n'
    for i in $(seq 70); do printf '  - mean_squared_error: {from: y, target: want}\n'; done
} >$tmp/many.yaml
$rnc run $tmp/many.yaml --train --input $tmp/x.npy --target $tmp/t.npy --output $tmp/y.npy
