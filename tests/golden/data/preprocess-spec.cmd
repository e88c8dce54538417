# What a spec says of its images: each key with good values, as expand prints it, then with bad ones.
t=tests/golden/data/tiny.yaml m=tests/golden/data/map.yaml
good() { $rnc expand $t "$@" >$tmp/e.yaml && grep '  image:' $tmp/e.yaml && $rnc expand $tmp/e.yaml | cmp - $tmp/e.yaml; }
good --set inputs.image.fit=resize
good --set inputs.image.fit=crop
good --set "inputs.image.fit={crop: {share: 0.875}}"
good --set "inputs.image.fit={letterbox: {fill: 0}}"
good -p channels=3 --set inputs.image.channels=bgr --set inputs.image.scale=-1..1
good -p channels=3 --set inputs.image.normalize=imagenet
good --set inputs.image.normalize=none
good --set inputs.image.normalize=measured --set inputs.image.scale=raw
good --set "inputs.image.normalize={mean: [0.5], std: [0.25]}"
good --set "train.data={image_folder: {train: x, normalize: none}}"
bad() { $rnc check "$@"; }
bad $t --set inputs.image.fit=stretch
bad $t --set "inputs.image.fit={crop: {share: 2}}"
bad $t --set "inputs.image.fit={crop: {fill: 2}}"
bad $t --set "inputs.image.fit={letterbox: {fill: 256}}"
bad $t --set inputs.image.channels=rgb
bad $t --set inputs.image.scale=0..255
bad $t --set inputs.image.normalize=imagenet
bad $t --set inputs.image.normalize=imagnet
bad $t --set "inputs.image.normalize={mean: [0.5], std: [0]}"
bad $t --set "inputs.image.normalize={mean: [0.5, 0.5], std: [1, 1]}"
bad $t --set inputs.image.normalize=none --set "train.data={image_folder: {train: x, normalize: none}}"
bad $t --set "train.data={image_folder: {train: x, normalize: imagenet}}"
bad $t --set inputs.features.shape=[4] --set inputs.features.fit=resize
bad $m --set inputs.image.fit=letterbox
bad $m --set inputs.image.fit=letterbox --set targets.mask.ignore=255
