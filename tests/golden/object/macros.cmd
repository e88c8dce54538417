# Names that differ in their case only, or that end as a macro of the header does, have macros of their own.
cat >$tmp/net.yaml <<'SPEC'
rnc: 1
model: net
inputs: {x: {shape: [2, 4, 4]}}
layers: [{relu: {as: y}}, {tanh: {as: Y}}, {sigmoid: {as: y_elements}}]
outputs: [y, Y, y_elements]
SPEC
$rnc compile $tmp/net.yaml -o $tmp/net.h >/dev/null
grep _OUTPUT_ $tmp/net.h
