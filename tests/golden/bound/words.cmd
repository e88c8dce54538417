# Words of other frameworks get ours: operators, attributes, keys, options; capitals and underscores do not matter.
layer() {
    printf 'rnc: 1\nmodel: m\ninputs: {x: {shape: [3, 8, 8]}}\nlayers:\n  - %s\n  - relu: {as: y}\noutputs: [y]\n' "$1" >$tmp/m.yaml
    $rnc check $tmp/m.yaml 2>&1 | grep -o "error: .*\|did you mean '[^']*'?"
}
option() { $rnc "$@" 2>&1 | grep -o "error: .*\|did you mean '[^']*'?"; }
layer 'Conv2D: {name: c, out: 4, kernel: 3}'
layer 'nn.Conv2d: {name: c, out: 4, kernel: 3}'
layer 'BatchNormalization: {name: c}'
layer 'nn.BatchNorm2d: {name: c}'
layer 'MaxPooling2D: {kernel: 2}'
layer 'Dense: {name: c, out: 1}'
layer 'ReLU'
layer 'GlobalAveragePooling2D'
layer 'conv2d: {name: c, filters: 4, kernel_size: 3, padding: same, use_bias: false}'
layer 'conv2d: {name: c, out: 4, kernel: 3, dilation_rate: 2}'
layer 'batch_norm: {name: b, epsilon: 1e-3}'
layer 'leaky_relu: {negative_slope: 0.1}'
layer 'dropout: {rate: 0.1}'
option train x --batch-size 4
option train x --learning-rate 4
option train x --weights x
option train x --num-epochs x
option eval x --checkpoint x
option predict x --Top_K x
option check resnet20 --set train.batch_size=3
option check resnet20 --set train.learning_rate=3
option check resnet20 --set train.scheduler=cosine
option check resnet20 --set train.optimizer=Adam
option check resnet20 --set train.criterion=Adam
