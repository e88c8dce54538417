# Sourced by cases. net VERSION SHAPE LAYER…: a spec of these layers, the last of which is labelled y, on one input;
# `top` is what else stands at its top. forward VERSION SHAPE LAYER…: what it makes of 1, 2, 3 … rounded; messages
# first.
top=""
net() {
    printf '%s\n' "rnc: $1" "model: m" "$top" "inputs: {x: {shape: $2}}" "layers:"
    shift 2
    printf '  - %s\n' "$@"
    echo "outputs: [y]"
}
forward() {
    net "$@" >"net.yaml"
    python3 -c "
import math
from files import npy
shape = (1, *$2)
npy('x.npy', shape, range(1, math.prod(shape) + 1))"
    rnc run "net.yaml" --input "x.npy" --output "y=y.npy" --threads 1 || return
    python3 -c "
from files import read_npy
shape, y = read_npy('y.npy')
print('x'.join(map(str, shape)) + ':', *['%.4f' % v for v in y])"
}
