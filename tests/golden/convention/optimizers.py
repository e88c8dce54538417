"""optimizers.py OPTIMIZER CONVENTIONS SETTINGS CHECKPOINT: one weight and one bias after six steps of linear
regression, by the framework's
published formulas, beside the checkpoint's. SETTINGS: what differs from the framework's defaults."""

import math
import struct
import sys
from files import read_safetensors

X, T = [1, 2, -1, 0.5], [2, 3, -2, 2]
KERAS = {
    "sgd": dict(momentum=0, nesterov=0, weight_decay=0),
    "adam": dict(beta1=0.9, beta2=0.999, eps=1e-7, weight_decay=0),
    "adamw": dict(beta1=0.9, beta2=0.999, eps=1e-7, weight_decay=4e-3),
    "rmsprop": dict(alpha=0.9, eps=1e-7, momentum=0, weight_decay=0),
}
PYTORCH = {
    "sgd": dict(momentum=0, nesterov=0, weight_decay=0),
    "adam": dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0),
    "adamw": dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2),
    "rmsprop": dict(alpha=0.99, eps=1e-8, momentum=0, weight_decay=0),
}


def keras(name, o, s, p, g, lr, t):
    """keras/src/optimizers: sgd.py, adam.py, rmsprop.py; base_optimizer.py's _apply_weight_decay for all of them."""
    p -= p * o["weight_decay"] * lr
    if name == "sgd":
        s["m"] = o["momentum"] * s["m"] - g * lr
        return p + (o["momentum"] * s["m"] - g * lr if o["nesterov"] else s["m"])
    if name == "rmsprop":
        s["v"] = o["alpha"] * s["v"] + (1 - o["alpha"]) * g * g
        s["m"] = o["momentum"] * s["m"] + lr * g / math.sqrt(s["v"] + o["eps"])
        return p - s["m"]
    s["m"] += (g - s["m"]) * (1 - o["beta1"])
    s["v"] += (g * g - s["v"]) * (1 - o["beta2"])
    alpha = lr * math.sqrt(1 - o["beta2"] ** t) / (1 - o["beta1"] ** t)
    return p - s["m"] * alpha / (math.sqrt(s["v"]) + o["eps"])


def pytorch(name, o, s, p, g, lr, t):
    """The algorithms of torch.optim's pages SGD, Adam, AdamW and RMSprop."""
    if name == "adamw":
        p -= lr * o["weight_decay"] * p
    else:
        g += o["weight_decay"] * p
    if name == "sgd":
        s["m"] = o["momentum"] * s["m"] + g
        return p - lr * (g + o["momentum"] * s["m"] if o["nesterov"] else s["m"])
    if name == "rmsprop":
        s["v"] = o["alpha"] * s["v"] + (1 - o["alpha"]) * g * g
        s["m"] = o["momentum"] * s["m"] + g / (math.sqrt(s["v"]) + o["eps"])
        return p - lr * s["m"]
    s["m"] = o["beta1"] * s["m"] + (1 - o["beta1"]) * g
    s["v"] = o["beta2"] * s["v"] + (1 - o["beta2"]) * g * g
    return p - lr * s["m"] / (1 - o["beta1"] ** t) / (math.sqrt(s["v"] / (1 - o["beta2"] ** t)) + o["eps"])


name, conventions, settings, checkpoint = sys.argv[1:]
o = dict((KERAS if conventions == "keras" else PYTORCH)[name])
for word in settings.replace(",", " ").replace(": ", ":").split():
    key, value = word.split(":")
    o[key] = {"true": 1, "false": 0}.get(value) if value in ("true", "false") else float(value)
lr = o.pop("lr")
p, states = [0.5, -0.25], [dict(m=0, v=0), dict(m=0, v=0)]
for t in range(1, 7):
    batch = range(0, 2) if t % 2 else range(2, 4)
    error = [p[0] * X[i] + p[1] - T[i] for i in batch]
    g = [sum(2 * e * X[i] for e, i in zip(error, batch)) / 2, sum(2 * e for e in error) / 2]
    rate = lr * 0.1 ** ((t - 1) // 2)
    p = [(keras if conventions == "keras" else pytorch)(name, o, s, q, h, rate, t) for s, q, h in zip(states, p, g)]
tensors, _ = read_safetensors(checkpoint)
found = [struct.unpack("<f", tensors["fc." + n][2])[0] for n in ("weight", "bias")]
same = all(abs(a - b) < 2e-6 * max(1, abs(b)) for a, b in zip(found, p))
print("%.4f %.4f" % tuple(p), "as trained" if same else "but trained: %r" % found)
