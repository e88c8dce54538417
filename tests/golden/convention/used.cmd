# A spec that is used keeps its own version and conventions.
. tests/golden/convention/net.sh
net 1 "[3, 8, 8]" "batch_norm: {name: own}" "avg_pool: {kernel: 3, pad: same, as: y}" >"$tmp/inner.yaml"
top="conventions: keras
use: {body: {spec: inner, taps: {y: y}}}"
net 2 "[3, 8, 8]" "batch_norm: {name: outer, from: body.y}" "avg_pool: {kernel: 3, pad: same, as: y}" >"$tmp/outer.yaml"
$rnc expand "$tmp/outer.yaml" | grep 'batch_norm\|avg_pool'
