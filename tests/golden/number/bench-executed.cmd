# What bench counts and how its rows add up: of a convolution dilated by 24 on 33×33 pixels 2601 of 9801 taps lie in the image, in all three
# directions; groups of 3 channels run on the scalar kernel.
cat >"$tmp/m.yaml" <<'Y'
rnc: 1
model: m
inputs: {image: {shape: [3, 33, 33]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: stem, out: 96, kernel: 1}
  - conv2d: {name: dilated, out: 96, kernel: 3, pad: 24, dilation: 24}
  - conv2d: {name: groups, out: 96, kernel: 3, pad: 1, groups: 32}
  - conv2d: {name: depthwise, out: 96, kernel: 3, pad: 24, dilation: 24, groups: 96}
  - global_avg_pool
  - dense: {name: fc, out: 3, as: logits}
outputs: [logits]
loss: [{softmax_cross_entropy: {from: logits, target: label}}]
Y
cat >"$tmp/look.py" <<'Y'
import json, sys
b = json.load(sys.stdin)
# Which nodes are recomputed is the plan's affair.
print(*sorted({"%s %s %d %s" % (r["name"], r["phase"], r["executed_flops"] * 9801 // r["nominal_flops"], r["algorithm"].split(" ")[0])
               for r in b["layers"] if r["nominal_flops"] and r["name"] != "fc" and r["kind"] != "recompute"}), sep="\n")
print("executed above nominal:", [r["name"] for r in b["layers"] if r["executed_flops"] > r["nominal_flops"]])
print("above 100%:", [r["name"] for r in b["layers"] if max(r["percent_of_peak"], r["percent_explained"]) > 100.0001])
print("all:", b["percent_of_peak"] <= 100.0001, sum(r["executed_flops"] for r in b["layers"]) == b["executed_flops"])
between = [k for k in b["kinds"] if k["kind"] == "between nodes"][0]["ms"]
print("rows add up: %.4f" % ((sum(r["median_ms"] for r in b["layers"]) + between) / b["median_ms"]))
print("kinds add up: %.3f%%" % sum(k["percent"] for k in b["kinds"]))
Y
for dtype in f32 bf16; do
    echo "# $dtype"
    $rnc bench "$tmp/m.yaml" --mode train --batch 2 --seconds 0.05 --threads 1 --winograd off --dtype $dtype --json 2>/dev/null | python3 "$tmp/look.py"
done
