#!/usr/bin/env bash
# Golden commands: commands.sh FOLDER [WORD]. Every FOLDER/NAME.cmd is run by bash, from the root, with $rnc (the program) and $tmp (an empty
# folder, removed afterwards); Python finds tests/support (pictures and arrays from a few lines). What it prints (both streams) and its exit
# status are NAME.out. BLESS=1 rewrites. A WORD runs only the cases whose name contains it.
set -u
cd "$(dirname "$0")/../.." || exit 2
export rnc=${RNC:-build/rnc} NO_COLOR=1 PYTHONPATH=$PWD/tests/support PYTHONDONTWRITEBYTECODE=1
export here=$1 word=${2:-}

one() {
    local name tmp got
    name=$(basename "$1" .cmd)
    tmp=$(mktemp -d)
    export tmp
    got=$( (bash "$1" 2>&1; echo "exit $?") | sed "s|$tmp|TMP|g; s|$rnc|rnc|g")
    rm -rf "$tmp"
    if [ "${BLESS:-}" = 1 ]; then printf '%s\n' "$got" >"$here/$name.out"; fi
    diff -u "$here/$name.out" - <<<"$got" && echo "passed $name" && return
    echo "FAILED: $name    (alone: $here/run.sh $name)"
}
export -f one

# Sanitizers reserve terabytes of addresses, so that cases which limit memory tell nothing there.
unlimited=
case ${MODE:-release} in asan | tsan) unlimited='ulimit -v' ;; esac
wanted() {
    for cmd in "$here"/*.cmd; do
        [[ $(basename "$cmd" .cmd) == *"$word"* ]] || continue
        if [ -n "$unlimited" ] && grep -q "$unlimited" "$cmd"; then echo "SKIPPED $cmd: it limits memory" >&2; continue; fi
        printf '%s\0' "$cmd"
    done
}
# Two at a time: most of a case is waiting for one compiling thread.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
wanted | xargs -0 -r -n 1 -P 2 bash -c 'printf "%s\n" "$(one "$1")"' one >"$log"
grep -v '^passed ' "$log"
passed=$(grep -c '^passed ' "$log") failed=$(grep -c '^FAILED: ' "$log")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
