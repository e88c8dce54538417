"""pictures.py KIND FOLDER [OPTION]: small pictures with labels or masks of which one look tells what is right.
masks FOLDER [VALUE]: 40 pictures of 16 × 16, every other one bright with a mask of VALUE (1), the others dark with
one of 0.
halves FOLDER: 40 pictures of 16 × 16 whose left (or right) half is bright; the mask is 1 there.
classes FOLDER NAME…: 20 pictures of 8 × 8 for each class, the first class dark, the last bright."""

import sys
from files import plain, png

kind, folder = sys.argv[1:3]
if kind == "masks":
    value = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for k in range(40):
        png(f"{folder}/images/{k:02}.png", plain(16, 16, (200 if k % 2 else 40,) * 3))
        png(f"{folder}/masks/{k:02}.png", plain(16, 16, value if k % 2 else 0))
elif kind == "halves":
    for k in range(40):
        bright = [(x < 8) == (k % 2 == 0) for x in range(16)]
        png(f"{folder}/images/{k:02}.png", [[(200 if b else 40,) * 3 for b in bright]] * 16)
        png(f"{folder}/masks/{k:02}.png", [[int(b) for b in bright]] * 16)
elif kind == "classes":
    names = sys.argv[3:]
    for n, name in enumerate(names):
        for k in range(20):
            png(f"{folder}/{name}/{k}.png", plain(8, 8, (40 + 160 * n // (len(names) - 1) + k,) * 3))
