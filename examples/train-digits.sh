#!/bin/sh
# Trains a small ResNet on the 5,000 handwritten digits that are inside rnc, and evaluates it: a few seconds.
#     examples/train-digits.sh [DIR]
set -eu
rnc=${RNC:-$(dirname "$0")/../build/rnc}
out=${1:-out/digits}
spec="resnet20 -p n=1 -p channels=1 -p size=20 -p classes=10"
# shellcheck disable=SC2086
{
    "$rnc" train $spec --epochs "${EPOCHS:-3}" --out "$out"
    "$rnc" eval $spec --weights "$out/last.safetensors"
}
