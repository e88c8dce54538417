#!/usr/bin/env python3
"""Writes torch.txt: what PyTorch computes for small cases where conventions differ between frameworks (windows,
coordinates,
approximations, which of equal maxima gets the gradient). Run once with PyTorch (Debian: python3-torch); test_torch.c
holds the operators'
references against it.

Each case: the operator, the row's text, and per result its values. The input is x[i] = ((37 * i + 11) % 101) / 50 -
1, or with
"ties" integers (x[i] = (5 * i) % 3), so that windows have several maxima. "dx": the gradient by x for dy[i] = ((29 *
i + 5) % 47) / 20 - 1.
"""

import pathlib
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def sequence(shape, ties=False):
    n = 1
    for d in shape:
        n *= d
    values = [float((5 * i) % 3) if ties else ((37 * i + 11) % 101) / 50 - 1 for i in range(n)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def direction(shape):
    n = 1
    for d in shape:
        n *= d
    return torch.tensor([((29 * i + 5) % 47) / 20 - 1 for i in range(n)], dtype=torch.float64).reshape(shape)


def parse(text):
    a = dict(w.split("=") for w in text.split())
    shape = [int(d) for d in a.pop("x").split(",")]
    return shape, a


def pair(a, key, default):
    v = [int(d) for d in a.get(key, default).split(",")]
    return v * 2 if len(v) == 1 else v


def flag(a, key, default="false"):
    return a.get(key, default) == "true"


def max_pool(x, a):
    k = pair(a, "kernel", "1")
    return F.max_pool2d(x, k, pair(a, "stride", a["kernel"]), pair(a, "pad", "0"), ceil_mode=flag(a, "ceil"))


def avg_pool(x, a):
    k = pair(a, "kernel", "1")
    return F.avg_pool2d(
        x, k, pair(a, "stride", a["kernel"]), pair(a, "pad", "0"), flag(a, "ceil"), flag(a, "count_pad", "true")
    )


def resize(x, a):
    size = pair(a, "size", "1")
    if a.get("mode", "nearest") == "nearest":
        return F.interpolate(x, size=size, mode="nearest")
    return F.interpolate(x, size=size, mode="bilinear", align_corners=flag(a, "align_corners"))


OPS = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "resize": resize,
    "global_avg_pool": lambda x, a: x.mean((2, 3)),
    "relu": lambda x, a: F.relu(x),
    "relu6": lambda x, a: F.relu6(x),
    "leaky_relu": lambda x, a: F.leaky_relu(x, float(a.get("slope", 0.01))),
    "sigmoid": lambda x, a: torch.sigmoid(x),
    "silu": lambda x, a: F.silu(x),
    "tanh": lambda x, a: torch.tanh(x),
    "gelu": lambda x, a: F.gelu(x, approximate=a.get("approximate", "none")),
    "softmax": lambda x, a: F.softmax(x, 1),
    "flatten": lambda x, a: x.flatten(1),
    "subsample": lambda x, a: x[:, :, :: pair(a, "stride", "1")[0], :: pair(a, "stride", "1")[1]],
}

CASES = [
    ("max_pool", "x=1,2,7,6 kernel=3 stride=2 pad=1"),
    ("max_pool", "x=1,2,7,6 kernel=3 stride=2 pad=1 ties=true"),
    ("max_pool", "x=1,1,7,6 kernel=2 stride=3 ceil=true"),
    ("max_pool", "x=1,1,5,5 kernel=2 stride=2 ceil=true"),
    ("max_pool", "x=1,1,8,5 kernel=3,2 stride=3,2 pad=1,1 ceil=true"),
    ("max_pool", "x=1,1,4,4 kernel=3 stride=3 pad=1 ceil=true ties=true"),
    ("avg_pool", "x=1,2,7,6 kernel=3 stride=2 pad=1"),
    ("avg_pool", "x=1,2,7,6 kernel=3 stride=2 pad=1 count_pad=false"),
    ("avg_pool", "x=1,1,7,6 kernel=3 stride=2 pad=1 ceil=true"),
    ("avg_pool", "x=1,1,7,6 kernel=3 stride=2 pad=1 ceil=true count_pad=false"),
    ("avg_pool", "x=1,1,8,5 kernel=2 stride=3 ceil=true"),
    ("avg_pool", "x=1,1,6,9 kernel=5,4 stride=2,3 pad=2,1 ceil=true"),
    ("global_avg_pool", "x=2,3,3,2"),
    ("resize", "x=1,1,3,5 size=7,4"),
    ("resize", "x=1,2,4,3 size=8,6"),
    ("resize", "x=1,1,7,1 size=3,9"),
    ("resize", "x=1,1,1,49 size=1,29"),
    ("resize", "x=1,1,1,3 size=1,41"),
    ("resize", "x=1,1,3,5 size=7,4 mode=bilinear"),
    ("resize", "x=1,2,4,3 size=8,6 mode=bilinear"),
    ("resize", "x=1,1,9,7 size=4,3 mode=bilinear"),
    ("resize", "x=1,1,3,5 size=7,4 mode=bilinear align_corners=true"),
    ("resize", "x=1,1,4,3 size=8,6 mode=bilinear align_corners=true"),
    ("resize", "x=1,1,5,1 size=1,4 mode=bilinear align_corners=true"),
    ("relu", "x=1,2,3,3"),
    ("relu6", "x=1,2,3,3"),
    ("leaky_relu", "x=1,2,3,3 slope=0.2"),
    ("sigmoid", "x=1,2,3,3"),
    ("silu", "x=1,2,3,3"),
    ("tanh", "x=1,2,3,3"),
    ("gelu", "x=1,2,3,3"),
    ("gelu", "x=1,2,3,3 approximate=tanh"),
    ("softmax", "x=2,7"),
    ("softmax", "x=1,3,2,3"),
    ("flatten", "x=2,3,2,2"),
    ("subsample", "x=1,2,5,4 stride=2,3"),
]


def numbers(t):
    return " ".join(repr(v) for v in t.flatten().tolist())


def main():
    lines = ["# written by make_torch.py with PyTorch " + torch.__version__.split("+")[0]]
    for op, text in CASES:
        shape, a = parse(text)
        x = sequence(shape, flag(a, "ties")).requires_grad_()
        y = OPS[op](x, a)
        y.backward(direction(y.shape))
        lines += [f"{op} {text}", "y " + ",".join(map(str, y.shape)) + " " + numbers(y), "dx " + numbers(x.grad)]
    (pathlib.Path(__file__).parent / "torch.txt").write_text("\n".join(lines) + "\n")


main()
