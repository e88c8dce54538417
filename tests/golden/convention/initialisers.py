"""initialisers.py CONVENTIONS INIT CHECKPOINT: are the weights drawn as the framework's documentation says? Fans are
those of the weights'
shapes in each framework; INIT "": its default."""

import math
import struct
import sys
from files import read_safetensors

conventions, init, checkpoint = sys.argv[1:]
C, O, GROUPS, TAPS = 16, 64, 2, 9
# fan_in, fan_out: Keras's kernels are [h, w, in, out], transposed ones [h, w, out, in]; PyTorch counts dimension 1 for
# fan_in.
FANS = {"conv": (C // GROUPS * TAPS, O * TAPS), "up": (C * TAPS, O * TAPS), "fc": (256, 96)}
UNIFORM, CUT, NORMAL = 0, 1, 2


def law(name, layer):
    """(distribution, standard deviation, largest value)"""
    fan_in, fan_out = FANS[layer]
    if name == "kaiming_uniform":  # PyTorch: a = √5
        return UNIFORM, 1 / math.sqrt(3 * fan_in), 1 / math.sqrt(fan_in)
    if name == "kaiming_normal":
        return NORMAL, math.sqrt(2 / {"conv": O // GROUPS * TAPS, "up": C * TAPS, "fc": 96}[layer]), 9
    scale = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[name.split("_")[0]]
    if name.endswith("uniform"):
        return UNIFORM, math.sqrt(scale), math.sqrt(3 * scale)
    return CUT, math.sqrt(scale), 2 * math.sqrt(scale) / 0.87962566103423978


def default(layer):
    return {
        "keras": "glorot_uniform",
        "pytorch": "kaiming_uniform",
        "": "kaiming_uniform" if layer == "fc" else "kaiming_normal",
    }[conventions]


tensors, _ = read_safetensors(checkpoint)
wrong = []
for layer in "conv", "up", "fc":
    kind, std, most = law(init or default(layer), layer)
    data = tensors[layer + ".weight"][2]
    w = struct.unpack("<%df" % (len(data) // 4), data)
    found, largest = math.sqrt(sum(x * x for x in w) / len(w)), max(map(abs, w))
    if (
        abs(found / std - 1) > 0.03
        or abs(sum(w) / len(w)) > 0.03 * std
        or largest > most * 1.000001
        or (kind != NORMAL and largest < 0.98 * most)
    ):
        wrong.append("%s.weight: std %g, wanted %g; largest %g, wanted %g" % (layer, found, std, largest, most))
    bias = struct.unpack("<%df" % (len(tensors[layer + ".bias"][2]) // 4), tensors[layer + ".bias"][2])
    counted = (
        conventions == "pytorch" or init == "kaiming_uniform" or layer != "up"
    )  # rnc's own count is of the pixels that are summed
    bound = 1 / math.sqrt(FANS[layer][0] if counted else O * TAPS)
    if any(bias) if conventions == "keras" else not 0.8 * bound < max(map(abs, bias)) <= bound:
        wrong.append("%s.bias: largest %g" % (layer, max(map(abs, bias))))
print("%-8s %-15s" % (conventions or "rnc", init or "its defaults"), "; ".join(wrong) or "as documented")
