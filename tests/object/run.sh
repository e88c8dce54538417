#!/usr/bin/env bash
# Compiled models in programs: several in one, in C and in C++, and what a linker sees of them.
set -u
cd "$(dirname "$0")/../.." || exit 2
RNC=${RNC:-build/rnc} here=tests/object
export RNC_CACHE=off PYTHONPATH=tests/support PYTHONDONTWRITEBYTECODE=1
built=$(dirname "$RNC")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
check() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else echo "FAILED: $2"; tail -n 20 "$out/log";
    failed=$((failed + 1)); fi; }
# does NAME COMMAND…: the command succeeds
does() { local name=$1; shift; "$@" >"$out/log" 2>&1; check $? "$name"; }
case ${MODE:-release} in asan) sanitize=-fsanitize=address,undefined ;; ubsan) sanitize=-fsanitize=undefined ;;
    tsan) sanitize=-fsanitize=thread ;; *) sanitize= ;; esac
flags="-Wall -Wextra -Wpedantic -Werror -O1 $sanitize -I$out -I$built/include"
libraries="$built/librnc_rt.a -lm -pthread"

does "inference, batch 1" "$RNC" compile $here/net.yaml -o "$out/one.o"
does "inference, batch 4" "$RNC" compile $here/net.yaml --batch 4 --name net_of_4 -o "$out/four.o"
does "a training step" "$RNC" compile $here/net.yaml --train -o "$out/train.o"
for model in one four train; do
    nm "$out/$model.o" | awk '$2 ~ /[A-Z]/ && $2 != "U" { print $3 }' >"$out/log"
    [ "$(wc -l <"$out/log")" = 1 ]
    check $? "$model.o: a linker sees one symbol"
done

# shellcheck disable=SC2086
does "three models in C" gcc -std=c11 $flags -o "$out/c" $here/three.c "$out"/{one,four,train}.o $libraries
does "they run" "$out/c"
if command -v g++ >/dev/null; then
    for header in "$built"/include/rnc/*.h "$out"/*.h; do
        # shellcheck disable=SC2086
        does "$header in C++" g++ -std=c++17 $flags -x c++ -fsyntax-only "$header"
    done
    # shellcheck disable=SC2086
    does "three models in C++" g++ -std=c++17 $flags -x c++ $here/three.c -x none -o "$out/cc" \
        "$out"/{one,four,train}.o $libraries
    does "they run in C++" "$out/cc"
else
    echo "SKIPPED: models in C++: g++ is not here"
fi

"$RNC" compile $here/net.yaml --batch 2 -o "$out/two.o" >"$out/log" 2>&1
printf '#include "one.h"\n#include "two.h"\n#include "one.h"\n' >"$out/clash.c"
# shellcheck disable=SC2086
gcc $flags -fsyntax-only "$out/clash.c" >"$out/log" 2>&1
grep -q 'two models are called rnc_net: give one another name' "$out/log"
check $? "two models of one name are refused by their headers"
# Weights, and the image that own.c makes
python3 - "$out" <<'PY'
import random, re, sys
from files import npy, safetensors
out = sys.argv[1]
rows = re.findall(r'X\("([^"]+)", float, (\d+), (\d), (\d+), (\d+), (\d+), (\d+)\)', open(out + "/one.h").read())
random.seed(1)
value = lambda name: random.uniform(0.5, 1.5) if name.endswith(("bn.weight", "var")) else random.uniform(-0.3, 0.3)
safetensors(out + "/w.safetensors", {
    name: ([int(d) for d in dims[:int(rank)]], [value(name) for _ in range(int(count))])
    for name, count, rank, *dims in rows})
npy(out + "/x.npy", (1, 3, 8, 8), [k * 7919 % 257 / 128 - 1 for k in range(192)])
PY
# own NAME OPTION…: a program with weights in it gives what rnc run gives, bit for bit
own() {
    local name=$1
    shift
    does "$name: weights in the object" "$RNC" compile $here/net.yaml "$@" --weights "$out/w.safetensors" -o \
        "$out/own.o"
    # shellcheck disable=SC2086
    does "$name: a program of it" gcc -std=c11 $flags -o "$out/own" $here/own.c "$out/own.o" $libraries
    does "$name: its weights are its own" "$out/own" "$out/y.bin"
    does "$name: rnc run" "$RNC" run $here/net.yaml "$@" --weights "$out/w.safetensors" --cpu x86-64-v3 --input \
        "$out/x.npy" --output "$out/y.npy"
    tail -c 20 "$out/y.npy" | cmp - "$out/y.bin" >"$out/log" 2>&1
    check $? "$name: the same bits as rnc run"
}
own plain
own bf16 --dtype bf16
own direct --winograd off
does "weights for another machine" "$RNC" compile $here/net.yaml --target aarch64-linux-gnu --weights \
    "$out/w.safetensors" -o "$out/arm.o"
does "a shared library" "$RNC" compile $here/net.yaml --weights "$out/w.safetensors" -o "$out/own.so"
nm -D "$out/own.so" | awk 'NF == 3 && $2 ~ /[A-TV-Z]/ { print $3 }' >"$out/log"
[ "$(cat "$out/log")" = rnc_net ]
check $? "of a shared library, too, one symbol is seen"

# shellcheck disable=SC2086
does "pictures as rnc predict sees them" python3 $here/pixels.py "$RNC" "$out" gcc -std=c11 $flags $libraries

echo "$passed passed, $failed failed"
[ $failed = 0 ]
