"""Writes .npy arrays of pseudo-random numbers: arrays.py DIR COUNT NAME:TYPE:DIM,DIM… …, where TYPE is f (uniform in
0 … 1) or a number
of classes (labels). Needs no NumPy."""

import array
import os
import random
import sys


def write(path, code, shape, values):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (code, ", ".join(map(str, shape)))
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + values.tobytes())


folder, count = sys.argv[1], int(sys.argv[2])
os.makedirs(folder, exist_ok=True)
for word in sys.argv[3:]:
    name, kind, dims = (word + ":").split(":")[:3]
    shape = [count] + [int(d) for d in dims.split(",") if d]
    total = 1
    for d in shape:
        total *= d
    rng = random.Random(name)
    if kind == "f":
        write(os.path.join(folder, name + ".npy"), "<f4", shape, array.array("f", (rng.random() for _ in range(total))))
    else:
        write(
            os.path.join(folder, name + ".npy"),
            "<i8",
            shape,
            array.array("q", (rng.randrange(int(kind)) for _ in range(total))),
        )
