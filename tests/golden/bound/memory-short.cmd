# Memory that runs out anywhere ends with a message and status 2: never a crash, never half an answer.
spec=$tmp/t.yaml
cat >$spec <<'END'
rnc: 1
model: t
inputs: {x: {shape: [8, 16, 16]}}
targets: {label: {type: class}}
layers:
  - conv2d: {name: a, out: 16, kernel: 3, pad: 1}
  - batch_norm: {name: b}
  - relu
  - global_avg_pool
  - dense: {name: fc, out: 4, as: y}
outputs: [y]
loss: [softmax_cross_entropy: {from: y, target: label}]
END

seen=0
for mib in $(seq 150 15 480); do
    (ulimit -v $((mib * 1024)); exec $rnc compile $spec --train --no-cache --threads 1 --emit report) >$tmp/out 2>$tmp/err
    status=$?
    case $status in
    0) [ $seen = 0 ] || break ;;
    2) seen=$((seen + 1)); grep -q . $tmp/err || echo "$mib MiB: no message" ;;
    127 | 126) ;; # the libraries did not fit
    *) echo "$mib MiB: status $status"; head -n 3 $tmp/err ;;
    esac
done
[ $seen -gt 2 ] && echo "ends with a message"
