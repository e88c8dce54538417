#!/usr/bin/env bash
# The tests of compiled code once more, for vectors that are not this machine's: AVX2 (where the suite itself runs
# AVX-512 code), and four lanes, as NEON has, whose layouts and blocking are the same on any machine; and with products
# of bf16 pairs (AMD's) on any CPU that has them. tests/cross has the code for aarch64 itself.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-build} RNC=${RNC:-${BUILD:-build}/rnc}
logs=$(mktemp -d) && trap 'rm -rf "$logs"' EXIT
parts=() passed=0 failed=0

# part PROGRAM OPTION…: to be run by run_parts, one on each CPU
part() { parts+=("$*"); }

run_parts() {
    local i p f
    printf '%s\n' "${!parts[@]}" |
        BUILD=$BUILD LOGS=$logs LIST=$(printf '%s\n' "${parts[@]}") xargs -P "$(nproc)" -I{} \
        bash -c 'mapfile -t part <<<"$LIST"; $BUILD/tests/${part[$1]} >"$LOGS/$1" 2>&1' part {}
    for i in "${!parts[@]}"; do
        read -r p f <<<"$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$logs/$i" | tail -n 1)"
        [ -n "${p:-}" ] || { p=0 f=1; }
        echo "${parts[i]}: $p passed, $f failed"
        [ "$f" = 0 ] || { cat "$logs/$i"; echo "     alone: $BUILD/tests/${parts[i]}"; }
        passed=$((passed + p)) failed=$((failed + f))
    done
}

case $("$RNC" --version) in
*" 16 float lanes")
    part op/test_op --cpu=x86-64-v3
    part op/test_repack --cpu=x86-64-v3
    part diff/test_diff --cpu=x86-64-v3
    part random/test_random --cpu=x86-64-v3
    ;;
*" 8 float lanes") echo "AVX2 is what the suite itself runs here" ;;
esac
if grep -qsw avx512_bf16 /proc/cpuinfo; then
    part op/test_op --cpu=znver4 conv2d conv_transpose2d conv2d_dgrad conv2d_wgrad
    part diff/test_diff --cpu=znver4 resnet20/infer.bf16 resnet20/sgd.bf16 unet/infer.bf16 unet/sgd.bf16
    part shapes/test_shapes --cpu=znver4 3x3:bf16 1x1:bf16 1x1-stride2:bf16 transposed:bf16 grouped:bf16 \
        3x3-stride2:bf16/wgrad 5x5:bf16/wgrad dilated:bf16/wgrad stem:bf16/forward stem:bf16/wgrad
else
    echo "no AVX-512 BF16 here: products of bf16 pairs are not tested"
fi
part op/test_op --lanes=4
part op/test_repack --lanes=4
run_parts
echo "$passed passed, $failed failed"
[ $failed = 0 ]
