# A pipe that nobody writes to, a device and a folder are refused wherever a file is read; what the shell opened is read.
mkfifo $tmp/pipe
printf 'rnc: 1\nmodel: m\ninputs: {x: {shape: [1, 2, 2]}}\nlayers:\n  - flatten: {as: y}\noutputs: [y]\n' >$tmp/m.yaml
python3 -c "
from files import npy
npy('$tmp/x.npy', (1, 1, 2, 2), [1, 2, 3, 4])"
try() { timeout 20 $rnc "$@" 2>&1 | head -n 2; }
for bad in $tmp/pipe /dev/zero $tmp; do
    try check $bad
    try run $tmp/m.yaml --input $bad --output $tmp/y.npy
    try run $tmp/m.yaml --input $tmp/x.npy --output $tmp/y.npy --weights $bad
    try predict resnet20 --weights $bad $bad
done
try opt $tmp/pipe
try train resnet20 --data $tmp/pipe --out $tmp/out
try check /dev/stdin <$tmp/m.yaml
try check <(cat $tmp/m.yaml) | sed 's/fd.[0-9]*/fd/'
$rnc run $tmp/m.yaml --input $tmp/x.npy --output $tmp/y.npy && $rnc run $tmp/m.yaml --input <(cat $tmp/x.npy) --output $tmp/z.npy &&
    cmp $tmp/y.npy $tmp/z.npy && echo the same
