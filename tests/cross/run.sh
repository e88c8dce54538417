#!/usr/bin/env bash
# Objects for another architecture. Each row compiles a spec for the target and for this machine; drive.c runs both on
# the same numbers, the foreign one under qemu's user mode, and their results must agree. Where qemu or the cross
# compiler is missing those rows are skipped, and said to be; that the code is made, and what it looks like, is checked
# anyway.
#   tests/cross/run.sh [NAME…]     the rows of those names
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
RNC=${RNC:-$root/build/rnc}
export RNC_CACHE=off
target=aarch64-linux-gnu cc=aarch64-linux-gnu-gcc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
check() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else echo "FAILED: $2"; failed=$((failed + 1)); fi; }

# name, then what `rnc compile` is given
rows() {
    cat <<'ROWS'
resnet20 resnet20 -p size=32
resnet20_direct resnet20 --winograd off --batch 3
resnet18 resnet18 -p size=64
resnet34 resnet34 -p size=64
resnet50 resnet50 -p size=64
unet unet -p size=32 -p width=8
resnet20_bf16 resnet20 -p size=32 --dtype bf16
retinanet retinanet -p size=128 -p backbone=resnet18 -p width=16 -p features=64
train resnet20 --train --batch 5 -p size=16
train_unet unet --train --batch 2 -p size=64 -p width=8 --set train.optimizer=sgd
ROWS
}

emulator=
for q in qemu-aarch64 qemu-aarch64-static; do
    if command -v $q >/dev/null; then emulator=$q; break; fi
done
missing=
command -v $cc >/dev/null || missing=" $cc (package gcc-aarch64-linux-gnu)"
[ -n "$emulator" ] || missing="$missing qemu-aarch64 (package qemu-user)"

# The runtime for a target, from the same rule as the library that is installed.
runtime() { make -s CC="$1" MODE=release BUILD="$2" rt >"$out/log" 2>&1 || { cat "$out/log"; return 1; }; }

# build CC RUNTIME OBJECT PROGRAM
build() {
    local symbol
    [ -f "${3%.o}.h" ] || return 1
    symbol=$(sed -n 's/^extern const struct rnc_model \(.*\);$/\1/p' "${3%.o}.h")
    "$1" -std=c17 -D_GNU_SOURCE -O1 -static -DMODEL="$symbol" -I"$2/include" -o "$4" tests/cross/drive.c "$3" \
        "$2/librnc_rt.a" -pthread -lm
}

row() {
    local name=$1 file=$out/$1
    shift
    "$RNC" compile "$@" --target $target -o "$file.arm.o" >"$out/log" 2>&1
    check $? "$name: rnc compile $* --target $target: $(cat "$out/log")"
    [ -z "$missing" ] || return
    "$RNC" compile "$@" -o "$file.here.o" >"$out/log" 2>&1 && build gcc "$out/here" "$file.here.o" "$file.here" &&
        "$file.here" "$file.reference"
    check $? "$name: on this machine: rnc compile $*"
    build $cc "$out/arm" "$file.arm.o" "$file.arm" && $emulator "$file.arm" "$file.result" "$file.reference"
    check $? "$name: under $emulator: rnc compile $* --target $target"
}

# Bytes 18 and 19 of an ELF header say for which machine: 183 is aarch64.
machine() { od -An -j18 -N2 -tu2 "$1" | tr -d ' '; }

look_at_the_code() {
    "$RNC" compile resnet20 --target $target -o "$out/look.o" >/dev/null 2>&1
    check $? "compile resnet20"
    [ "$(machine "$out/look.o")" = 183 ]
    check $? "the object's machine is aarch64"
    "$RNC" compile resnet50 --winograd off --target $target --emit asm >"$out/asm" 2>"$out/log"
    check $? "--emit asm: $(cat "$out/log")"
    # Products take a lane of a register: no input value is first spread over a whole one, and no accumulator leaves its
    # register.
    local fmla lane dup spills
    fmla=$(grep -cE '[[:space:]]fmla[[:space:]]' "$out/asm")
    lane=$(grep -cE '[[:space:]]fmla[[:space:]].*\[[0-3]\]$' "$out/asm")
    dup=$(grep -cE '[[:space:]]dup[[:space:]].*\[[0-3]\]$' "$out/asm")
    spills=$(grep -cE 'Folded (Spill|Reload)' "$out/asm")
    echo "resnet50: $fmla fmla, $lane of them by lane, $dup dup, $spills spills and reloads"
    [ "$lane" -gt $((fmla * 8 / 10)) ] && [ "$dup" -lt $((fmla / 50)) ]
    check $? "products by lane"
    [ "$spills" -lt $((fmla / 5)) ]
    check $? "accumulators stay in registers"
}

# Triples and CPUs: what is known, what is not, and that code for elsewhere is never run here.
says() {
    local want=$1 status=$2
    shift 2
    "$RNC" "$@" >"$out/log" 2>&1
    [ $? = "$status" ] && grep -qF -- "$want" "$out/log"
    check $? "rnc $*: exit status $status and '$want' expected: $(cat "$out/log")"
}

refusals() {
    says "aarch64-linux-gnu" 0 compile resnet20 --target help
    says "did you mean 'aarch64-linux-gnu'?" 1 compile resnet20 --target aarch64-linux-gnux
    says "is no CPU of the target aarch64-linux-gnu" 1 compile resnet20 --target $target --cpu x86-64-v3
    says "the least CPU is x86-64-v3" 1 compile resnet20 --cpu x86-64-v2
    if [ "$(uname -m)" != aarch64 ]; then
        says "cannot run on this machine" 1 bench resnet20 --cpu armv8-a
        says "cannot run on this machine" 1 train resnet20 -p channels=1 -p size=20 --cpu armv8-a
    fi
}

wanted() {
    local name=$1 word
    shift
    [ $# = 0 ] && return 0
    for word in "$@"; do [ "$word" = "$name" ] && return 0; done
    return 1
}

if wanted look "$@"; then look_at_the_code; fi
if wanted refusals "$@"; then refusals; fi
if [ -z "$missing" ]; then
    runtime gcc "$out/here"
    check $? "librnc_rt.a for this machine"
    runtime $cc "$out/arm"
    check $? "librnc_rt.a for $target"
else
    echo "SKIPPED: running the code for $target:$missing is not here"
fi
while read -r name args; do
    # shellcheck disable=SC2086
    if wanted "$name" "$@"; then row "$name" $args; fi
done < <(rows)
echo "$passed passed, $failed failed"
[ $failed = 0 ]
