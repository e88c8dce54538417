#!/usr/bin/env python3
"""rnc against NumPy, array by array: the same weights, the same input, forward and backward.

    examples/compare-with-numpy/compare.py [path of rnc]

Writes weights (safetensors) and arrays (.npy), calls `rnc run`, and computes tiny.yaml again in double precision.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
rnc = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..", "build", "rnc")
spec = os.path.join(here, "tiny.yaml")


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, a in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.astype("<f4").tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load_safetensors(path):
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    out = {}
    for name, t in json.loads(raw[8 : 8 + n]).items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            dtype = {"F32": "<f4", "I64": "<i8"}[t["dtype"]]
            out[name] = np.frombuffer(raw[8 + n + begin : 8 + n + end], dtype).reshape(t["shape"])
    return out


def patches(x):
    """[N, C, 3, 3, 6, 6]: what each output pixel of the convolution sees."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.stack([np.stack([x[:, :, i : i + 11 : 2, j : j + 11 : 2] for j in range(3)], 2) for i in range(3)], 2)


def forward(x, w, label=None):
    """Logits; with labels also the gradients of the mean cross entropy, in training mode."""
    train, p, eps = label is not None, patches(x), 1e-5
    y = np.einsum("ncijhw,ocij->nohw", p, w["conv.weight"]) + w["conv.bias"][:, None, None]
    mean, var = (y.mean((0, 2, 3)), y.var((0, 2, 3))) if train else (w["bn.running_mean"], w["bn.running_var"])
    xhat = (y - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    z = np.maximum(xhat * w["bn.weight"][:, None, None] + w["bn.bias"][:, None, None], 0)
    pooled = z.mean((2, 3))
    logits = pooled @ w["fc.weight"].T + w["fc.bias"]
    if not train:
        return logits
    g, n = {}, len(x)
    dlogits = np.exp(logits - logits.max(1, keepdims=True))
    dlogits /= dlogits.sum(1, keepdims=True)
    dlogits[np.arange(n), label] -= 1
    dlogits /= n
    g["fc.weight"], g["fc.bias"] = dlogits.T @ pooled, dlogits.sum(0)
    dz = (dlogits @ w["fc.weight"])[:, :, None, None] / z[0, 0].size * (z > 0)
    g["bn.weight"], g["bn.bias"] = (dz * xhat).sum((0, 2, 3)), dz.sum((0, 2, 3))
    m = n * z[0, 0].size
    dy = (w["bn.weight"] / np.sqrt(var + eps))[:, None, None] * (
        dz - (g["bn.bias"] / m)[:, None, None] - xhat * (g["bn.weight"] / m)[:, None, None]
    )
    g["conv.weight"] = np.einsum("nohw,ncijhw->ocij", dy, p)
    g["bn.running_mean"] = 0.9 * w["bn.running_mean"] + 0.1 * mean
    g["bn.running_var"] = 0.9 * w["bn.running_var"] + 0.1 * var * m / (m - 1)
    return logits, g


rng = np.random.default_rng(0)
w = {
    "conv.weight": rng.normal(0, 0.3, (8, 3, 3, 3)),
    "conv.bias": rng.normal(0, 0.1, 8),
    "bn.weight": rng.uniform(0.5, 1.5, 8),
    "bn.bias": rng.normal(0, 0.2, 8),
    "bn.running_mean": rng.normal(0, 0.2, 8),
    "bn.running_var": rng.uniform(0.5, 1.5, 8),
    "fc.weight": rng.normal(0, 0.5, (5, 8)),
    "fc.bias": rng.normal(0, 0.1, 5),
}
w = {k: v.astype("f4") for k, v in w.items()}
x = rng.normal(0, 1, (4, 3, 12, 12)).astype("f4")
label = rng.integers(0, 5, 4)
w64 = {k: v.astype("f8") for k, v in w.items()}

failed = passed = 0


def compare(name, got, want, limit):
    global failed, passed
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    ok = error < limit
    passed, failed = passed + ok, failed + (not ok)
    print(f"  {name:<20} {str(got.shape):<16} relative error {error:.1e}  {'ok' if ok else 'WRONG'}")


with tempfile.TemporaryDirectory() as d:

    def at(name):
        return os.path.join(d, name)

    save_safetensors(at("w.safetensors"), w)
    np.save(at("x.npy"), x)
    np.save(at("t.npy"), label)
    common = [rnc, "run", spec, "--weights", at("w.safetensors"), "--input", at("x.npy"), "--output", at("y.npy")]
    subprocess.run(common, check=True)
    print("inference")
    compare("logits", np.load(at("y.npy")), forward(x.astype("f8"), w64), 1e-5)
    subprocess.run(common + ["--train", "--target", at("t.npy"), "--grads", at("g.safetensors")], check=True)
    print("training step")
    logits, grads = forward(x.astype("f8"), w64, label)
    compare("logits", np.load(at("y.npy")), logits, 1e-5)
    got = load_safetensors(at("g.safetensors"))
    for name, want in grads.items():
        compare(name, got[name], want, 1e-4)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
