# Transfer learning on a published backbone: sound with binary labels and with classes, of tensors and of folders.
for spec in pneumonia transfer; do $rnc check $here/$spec.yaml; done
$rnc check $here/pneumonia.yaml --set 'train.data={image_folder: {train: chest_xray}}'
$rnc check $here/pneumonia.yaml --set 'targets.label={type: binary, positive: PNEUMONIA}' --set 'classes=[NORMAL, PNEUMONIA]'
