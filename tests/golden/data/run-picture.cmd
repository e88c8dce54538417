# A picture in place of an array: the same preprocessing as predict's; --raw leaves it out; arrays are as they are.
python3 - $tmp <<'P'
import sys; sys.path.insert(0, "tests/support")
from files import png, npy, safetensors
d = sys.argv[1]
rows = [[(17 * y + 29 * x) % 256 for x in range(8)] for y in range(8)]
png(d + "/p.png", rows)
png(d + "/wide.png", [[(5 * y + 9 * x) % 256 for x in range(12)] for y in range(10)])
npy(d + "/p.npy", [1, 1, 8, 8], [v / 255 for r in rows for v in r])
w = {"c.weight": ([3, 1, 3, 3], [(i * 7 % 11 - 5) / 8 for i in range(27)]), "c.bias": ([3], [0.5, -0.25, 0])}
record = "fit: {crop: {share: 0.875}}, channels: grey, scale: 0..1, normalize: {mean: [0.5], std: [0.125]}"
safetensors(d + "/w.safetensors", w)
safetensors(d + "/record.safetensors", w, {"rnc.preprocess": record})
open(d + "/cut.png", "wb").write(open(d + "/p.png", "rb").read()[:60])
open(d + "/text.jpg", "w").write("hello")
P
f="inputs: {image: {shape: [1, 8, 8], normalize: {mean: [0.25], std: [0.5]}}}"
printf 'rnc: 1\nmodel: f\n%s\nlayers:\n  - conv2d: {name: c, out: 3, kernel: 3, pad: 1}\n  - global_avg_pool: {as: y}\noutputs: [y]\n' "$f" >$tmp/f.yaml
printf 'rnc: 1\nmodel: v\ninputs: {v: {shape: [4]}}\nlayers:\n  - dense: {name: fc, out: 3, as: y}\noutputs: [y]\n' >$tmp/v.yaml
s=$tmp/f.yaml
run() { $rnc run "$@"; }
run $s --input $tmp/p.png --output $tmp/y.npy
run $s --input image=$tmp/wide.png --output $tmp/w.npy
run $s --input $tmp/p.png --raw --output $tmp/r.npy
run $s --input $tmp/p.npy --output $tmp/a.npy
run $s --input $tmp/p.png --normalize none --output $tmp/n.npy
cmp $tmp/r.npy $tmp/a.npy && echo raw is the array
cmp $tmp/n.npy $tmp/a.npy && echo normalize none of the same size is the array
cmp -s $tmp/y.npy $tmp/r.npy || echo raw differs
echo ---- as predict
for w in w record; do
    $rnc predict $s --weights $tmp/$w.safetensors --json $tmp/wide.png >$tmp/$w.json
    run $s --weights $tmp/$w.safetensors --input $tmp/wide.png --output $tmp/$w.npy
    python3 - $tmp/$w.json $tmp/$w.npy <<'P'
import json, math, sys; sys.path.insert(0, "tests/support")
from files import read_npy
top = {t["index"]: t["probability"] for t in json.load(open(sys.argv[1]))[0]["top"]}
shape, values = read_npy(sys.argv[2])
e = [math.exp(v) for v in values]
print(shape, "the same" if all(abs(top[i] - e[i] / sum(e)) < 1e-6 for i in range(3)) else (top, e))
P
done
cmp -s $tmp/w.npy $tmp/record.npy || echo the record counts
run $s --set inputs.image.normalize=measured --input $tmp/p.png --output $tmp/z.npy
echo ---- wrong
run $s --input $tmp/wide.png --raw --output $tmp/z.npy
run $s --input $tmp/p.npy --raw --output $tmp/z.npy
run $s --input $tmp/p.npy --normalize none --output $tmp/z.npy
run $s --input $tmp/p.png --raw --normalize none --output $tmp/z.npy
run $s --input $tmp/p.png --normalize imagnet --output $tmp/z.npy
run $s --input $tmp/p.png --input $tmp/wide.png --output $tmp/z.npy
run $s --input $tmp/p.png --batch 2 --output $tmp/z.npy
run $s --input $tmp/cut.png --output $tmp/z.npy
run $s --input $tmp/text.jpg --output $tmp/z.npy
run $tmp/v.yaml --input $tmp/p.png --output $tmp/z.npy
test ! -e $tmp/z.npy
