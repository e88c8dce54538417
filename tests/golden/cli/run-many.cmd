npy() { /usr/bin/python3 -c "import numpy, sys; a = $2; numpy.save(sys.argv[1], a)" "$1"; }
npy $tmp/x.npy "numpy.zeros((1, 3, 8, 8), 'f4')"
{
    printf 'rnc: 1\nmodel: many\ninputs:\n  image: {shape: [3, 8, 8]}\nlayers:\n'
    for i in $(seq 70); do printf '  - relu: {name: r%d, as: r%d}\n' $i $i; done
    printf "outputs: [r70]\n"
} >$tmp/many.yaml
dumps=() inputs=()
for i in $(seq 70); do dumps+=(--dump r$i=$tmp/r$i.npy) inputs+=(--input $tmp/x.npy); done
$rnc run $tmp/many.yaml "${inputs[@]}" "${dumps[@]}"; s=$?
ls $tmp/r*.npy | wc -l; exit $s
