"""Pictures through `rnc predict` and through a program with the model in it: the same names and numbers. pixels.py
RNC FOLDER CC…
FOLDER holds one.h and w.safetensors; CC is the compiler with its flags and the libraries of the program."""

import json
import random
import subprocess
import sys
from files import png, read_safetensors, safetensors
import array

rnc, folder, *cc = sys.argv[1:]
NET = "tests/object/net.yaml"
CLASSES = ["cat", "caf\u00e9 \"au lait\"", "back\\slash", "what??!", "e"]
RECORDS = [
    "fit: {letterbox: {fill: 114}}, channels: bgr, scale: raw, normalize: {mean: [100, 110, 120], std: [50, 60, 70]}",
    "fit: {crop: {share: 0.875}}, channels: rgb, scale: 0..1, normalize: imagenet",
    "fit: resize, channels: rgb, scale: -1..1, normalize: none",
]
PICTURES = [(40, 23, 3), (8, 8, 3), (7, 30, 3), (12, 9, 1)]


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def picture(width, height, channels):
    """Writes it as a PNG, and as rows of bytes with a gap behind each."""
    draw = random.Random(width)
    rows = [[tuple(draw.randrange(256) for _ in range(channels)) for _ in range(width)] for _ in range(height)]
    name = f"{folder}/{width}x{height}x{channels}"
    png(name + ".png", [[p if channels > 1 else p[0] for p in row] for row in rows])
    open(name + ".raw", "wb").write(b"".join(bytes(v for p in row for v in p) + b"\xff" * 5 for row in rows))
    return name


def compare(name, weights, size):
    """The largest difference of a probability."""
    said = json.loads(run(rnc, "predict", NET, "--weights", weights, "--cpu", "x86-64-v3", "--json", name + ".png"))
    top = {t["class"]: t["probability"] for t in (said[0] if isinstance(said, list) else said["images"][0])["top"]}
    own = [line.split("\t") for line in run(folder + "/pixels", name + ".raw", *map(str, size)).splitlines()]
    if [o[0] for o in own] != CLASSES or [o[1] for o in own] != CLASSES:
        sys.exit(f"{name}: classes {own}")
    return max(abs(top[o[0]] - float(o[2])) for o in own)


def main():
    tensors, _ = read_safetensors(folder + "/w.safetensors")
    tensors = {n: (shape, array.array("f", data)) for n, (_, shape, data) in tensors.items()}
    for record in RECORDS:
        weights = folder + "/seen.safetensors"
        safetensors(weights, tensors, {"rnc.preprocess": record, "rnc.classes": json.dumps(CLASSES)})
        run(rnc, "compile", NET, "--weights", weights, "-o", folder + "/seen.o")
        at = next(i for i, word in enumerate(cc) if word.endswith(".a"))
        run(*cc[:at], "-o", folder + "/pixels", "tests/object/pixels.c", folder + "/seen.o", *cc[at:])
        worst = max(compare(picture(*size), weights, size) for size in PICTURES)
        if not worst < 1e-7:
            sys.exit(f"{record}: probabilities differ by {worst}")


main()
