# Hidden colours do not matter: transparent pixels are white, whatever lies under them; half transparent ones are mixed.
python3 - <<'END'
import os
from files import png, plain
tmp = os.environ["tmp"]
for name, pixel in (("red", (255, 0, 0, 0)), ("black", (0, 0, 0, 0)), ("white", (255, 255, 255, 255)), ("opaque", (0, 0, 0, 255))):
    png("%s/%s.png" % (tmp, name), plain(8, 8, pixel))
END
cat >$tmp/mean.yaml <<'END'
rnc: 1
model: mean
inputs: {image: {shape: [3, 8, 8], normalize: none}}
layers:
  - global_avg_pool: {as: mean}
outputs: [mean]
targets: {y: {type: tensor, shape: [3]}}
loss: [{mean_squared_error: {from: mean, target: y}}]
END
python3 -c 'import os; from files import safetensors; safetensors(os.environ["tmp"] + "/w.safetensors", {})'
$rnc predict $tmp/mean.yaml --weights $tmp/w.safetensors $tmp/{red,black,white,opaque}.png
