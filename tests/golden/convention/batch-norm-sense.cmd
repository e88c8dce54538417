# Keras' 0.99 and PyTorch's 0.01 are one graph.
. tests/golden/convention/net.sh
norm() { net 2 "[3, 8, 8]" "batch_norm: {name: bn$1, as: y}" | $rnc compile --emit ir-raw - | grep -o '= batch_norm[^:]*'; }
norm ""
norm ", momentum: 0.01, eps: 1e-3, biased: true"
norm ", momentum: 0.99, momentum_of: running, eps: 1e-3, biased: true"
top="conventions: keras"
norm ""
norm ", momentum: 0.9, biased: false"
top="conventions: pytorch"
norm ""
