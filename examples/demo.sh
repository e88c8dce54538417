#!/bin/sh
# `make demo`: a ResNet-20 on Fashion-MNIST, from the spec to a trained network.
set -eu
cd "$(dirname "$0")/.."
rnc=${RNC:-build/rnc}
out=${OUT:-out}
data=/usr/share/datasets/fashion-mnist
[ -d "$data" ] || data=$(dirname "$(dpkg -L dataset-fashion-mnist 2>/dev/null | grep train-images || echo "$data/")")
# 28×28 grey images, 10 kinds of clothing.
spec="resnet20 -p channels=1 -p size=28 -p classes=10"

say() { printf '\n$ %s\n' "$*"; }
run() { say "$@"; "$@"; }

# shellcheck disable=SC2086
{
    run "$rnc" summary $spec
    run "$rnc" compile $spec --train
    # One epoch is too short for augmentation to pay: without it 89 % instead of 86 %.
    run "$rnc" train $spec --data "$data" --epochs 1 --no-augment --out "$out" --overwrite
    run "$rnc" eval $spec --data "$data" --weights "$out/best.safetensors"
}
printf '\nleft under %s/:\n' "$out"
ls -l "$out" | sed 1d
