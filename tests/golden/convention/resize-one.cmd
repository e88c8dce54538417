# Half pixels even at size 1 (the middle of 1 … 4 is 2.5); nearest of 26 → 11: floor(i · 26/11), in single precision.
. tests/golden/convention/net.sh
forward 2 "[1, 1, 4]" "resize: {size: 1, mode: bilinear, as: y}"
forward 2 "[1, 1, 26]" "resize: {size: [1, 11], mode: nearest, as: y}"
