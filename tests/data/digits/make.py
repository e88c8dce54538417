#!/usr/bin/env python3
"""Cuts the 5,000 handwritten digits out of OpenCV's digits.png (Debian package opencv-doc) and writes them as gzip'ed
IDX files,
named as MNIST's: every fifth image is for testing, the others for training. Needs nothing but Python's standard
library.

    tests/data/digits/make.py /usr/share/doc/opencv-doc/examples/data/digits.png
"""

import gzip, os, struct, sys, zlib

SIDE, ROWS, COLUMNS, ROWS_PER_CLASS = 20, 50, 100, 5


def read_grey_png(path):
    """Width, height and rows of an 8-bit greyscale PNG without interlacing."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            assert (depth, colour, interlace) == (8, 0, 0), "an 8-bit greyscale image was expected"
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    raw, rows, before = zlib.decompress(packed), [], bytearray(width)
    for y in range(height):
        kind, line = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1 : (y + 1) * (width + 1)])
        for x in range(width):  # PNG's filters, section 9.2
            a, b, c = (line[x - 1], before[x], before[x - 1]) if x else (0, before[x], 0)
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[x] = (line[x] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        rows.append(bytes(line))
        before = line
    return width, height, rows


def write(name, header, body):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "wb") as f:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=f, mtime=0) as g:
            g.write(header + body)


def main():
    width, height, rows = read_grey_png(sys.argv[1])
    assert (width, height) == (COLUMNS * SIDE, ROWS * SIDE)
    parts = {"train": ([], []), "t10k": ([], [])}
    for r in range(ROWS):
        for c in range(COLUMNS):
            image = b"".join(rows[r * SIDE + y][c * SIDE : (c + 1) * SIDE] for y in range(SIDE))
            images, labels = parts["t10k" if c % 5 == 4 else "train"]
            images.append(image)
            labels.append(r // ROWS_PER_CLASS)
    for part, (images, labels) in parts.items():
        write(f"{part}-images-idx3-ubyte.gz", struct.pack(">IIII", 2051, len(images), SIDE, SIDE), b"".join(images))
        write(f"{part}-labels-idx1-ubyte.gz", struct.pack(">II", 2049, len(labels)), bytes(labels))


main()
