# An expanded spec has every attribute, so that it means the same under any convention.
. tests/golden/convention/net.sh
graph() { $rnc compile --train --emit ir-raw "$1" | sed 's/ loc .*//'; }
for version in 1 2; do
    for top in "" "conventions: keras" "conventions: pytorch"; do
        echo "-- rnc: $version $top"
        net $version "[4, 8, 8]" "conv2d: {name: c, out: 4, kernel: 3, pad: same}" "batch_norm: {name: bn}" "leaky_relu" "prelu: {name: p}" \
            "avg_pool: {kernel: 3, pad: same, stride: 2}" "global_avg_pool" "dense: {name: fc, out: 3, as: y}" >"$tmp/net.yaml"
        printf '%s\n' "targets: {t: {type: class}}" "loss: [{softmax_cross_entropy: {from: y, target: t}}]" >>"$tmp/net.yaml"
        $rnc expand "$tmp/net.yaml" >"$tmp/plain.yaml" 2>/dev/null
        sed -n '/^layers/,/^outputs/p; /optimizer/p' "$tmp/plain.yaml"
        for other in "rnc: 1" "rnc: 2" "rnc: 2\nconventions: keras" "rnc: 1\nconventions: pytorch"; do
            sed "1s/.*/$other/" "$tmp/plain.yaml" >"$tmp/other.yaml"
            cmp <(graph "$tmp/net.yaml" 2>/dev/null) <(graph "$tmp/other.yaml")
        done
    done
done
