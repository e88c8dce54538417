#!/bin/sh
# Trains small.yaml on the 5,000 handwritten digits that are inside rnc, evaluates it, and asks it about one image: a
# few seconds.
#     examples/train-digits/train.sh [DIR]
set -eu
here=$(dirname "$0")
rnc=${RNC:-$here/../../build/rnc}
out=${1:-out/digits}
"$rnc" check "$here/small.yaml"
"$rnc" train "$here/small.yaml" --epochs "${EPOCHS:-5}" --out "$out" --overwrite
"$rnc" eval "$here/small.yaml" --weights "$out/best.safetensors"
