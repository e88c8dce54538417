# dense10 OUTPUTS LOSS [LAYER…]: one dense layer for the built-in digits, trained for two epochs.
dense10() {
    local outputs=$1 loss=$2
    shift 2
    printf '%s\n' 'rnc: 1' 'model: ds' 'inputs: {image: {shape: [1, 20, 20]}}' 'targets: {label: {type: class}}'
    printf 'layers:\n  - flatten: {as: x}\n'
    printf '  - dense: {name: fc, out: 10, as: logits}\n'
    [ $# = 0 ] || printf '  - %s\n' "$@"
    printf 'outputs: %s\nloss:\n  - %s\nmetrics: [accuracy]\n' "$outputs" "$loss"
    printf 'train: {batch: 100, epochs: 2, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}\n'
}
# digit FILE K: the K-th digit of the validation split as a PNG.
digit() {
    python3 -c '
import gzip, os, sys
from files import png
d = gzip.open(os.environ["root"] + "/tests/data/digits/t10k-images-idx3-ubyte.gz").read()[16 + 400 * int(sys.argv[2]):]
png(sys.argv[1], [list(d[y * 20:y * 20 + 20]) for y in range(20)])' "$1" "$2"
}
# column FILE NAME: the last row's value of a log.
column() { python3 -c 'import csv, sys; print(list(csv.DictReader(open(sys.argv[1])))[-1][sys.argv[2]])' "$1" "$2"; }
# said COMMAND…: rnc's command without the line that says what images go through.
said() {
    rnc "$@" >said.out 2>said.err
    local status=$?
    grep -v '^images: ' said.out
    grep -v '^images: ' said.err >&2
    return $status
}
