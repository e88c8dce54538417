# What the data that a spec names cannot give, whatever they hold.
$rnc check $here/multi.yaml --set 'train.data={image_folder: {train: x}}'
$rnc check $here/map-half.yaml --set 'train.data={cifar10: {train: x}}'
$rnc check $here/binary.yaml --set 'train.data=digits'
$rnc check $here/one-class.yaml --set 'train.data={cifar10: {train: x}}'
$rnc check $here/one-class.yaml --set 'train.data={npy: {train: x}}' --set 'train.augment=[{flip: {horizontal: true}}]'
$rnc check $here/one-class.yaml --set 'train.data={npy: {train: x}}'
$rnc check $here/binary-tensor.yaml --set 'train.data={image_folder: {train: x}}'
$rnc check $here/binary-tensor.yaml --set 'train.data={image_folder: {train: x}}' --set 'loss=[{mean_squared_error: {from: logits, target: label}}]'
