"""Writes and reads the files that tests need, without NumPy or Pillow: PNG pictures, .npy and IDX arrays,
safetensors."""

import array
import json
import os
import struct
import zlib


def _open(path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return open(path, "wb")


def png(path, rows, palette=None, depth=8):
    """rows[y][x]: a grey value (or an index of the palette, [(r, g, b), …]), or (r, g, b) or (r, g, b, a)."""
    first = rows[0][0]
    channels = len(first) if isinstance(first, tuple) else 1
    kind = 3 if palette else {1: 0, 3: 2, 4: 6}[channels]
    wide = depth // 8
    raw = b"".join(
        b"\0" + b"".join(v.to_bytes(wide, "big") for p in row for v in (p if channels > 1 else (p,))) for row in rows
    )

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    with _open(path) as f:
        f.write(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), depth, kind, 0, 0, 0))
        )
        if palette:
            f.write(chunk(b"PLTE", bytes(v for c in palette for v in c)))
        f.write(chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def plain(width, height, value):
    """The rows of a picture of one value."""
    return [[value] * width for _ in range(height)]


def npy(path, shape, values, kind="f4"):
    """kind: f4, f8, i4, i8, u1."""
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (
        ("|" if kind == "u1" else "<") + kind,
        "".join("%d," % d for d in shape),
    )
    head += " " * (-(len(head) + 11) % 64) + "\n"
    code = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B"}[kind]
    with _open(path) as f:
        f.write(
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + array.array(code, values).tobytes()
        )


def read_npy(path):
    """(shape, values)"""
    data = open(path, "rb").read()
    size = struct.unpack("<H", data[8:10])[0]
    head = eval(data[10 : 10 + size])
    code = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B"}[head["descr"][1:]]
    return head["shape"], list(array.array(code, data[10 + size :]))


def idx(path, shape, values):
    """Bytes, as MNIST's files."""
    with _open(path) as f:
        f.write(struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(">%dI" % len(shape), *shape) + bytes(values))


def safetensors(path, tensors, meta=None):
    """tensors: {name: (shape, values)}, fp32."""
    head, data = {}, b""
    if meta:
        head["__metadata__"] = meta
    for name, (shape, values) in tensors.items():
        block = array.array("f", values).tobytes()
        head[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with _open(path) as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    """({name: (dtype, shape, bytes)}, metadata)"""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + size])
    meta = head.pop("__metadata__", {})
    return {
        n: (t["dtype"], t["shape"], data[8 + size + t["data_offsets"][0] : 8 + size + t["data_offsets"][1]])
        for n, t in head.items()
    }, meta
