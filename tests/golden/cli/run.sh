#!/usr/bin/env bash
# The command line: every NAME.cmd is run by bash with $rnc and $tmp set, from the root; what it prints (both streams) and its exit
# status are NAME.out. BLESS=1 rewrites. A WORD runs only the cases whose name contains it.
set -u
cd "$(dirname "$0")/../../.." || exit 2
export rnc=${RNC:-build/rnc} NO_COLOR=1
here=tests/golden/cli
passed=0 failed=0
for cmd in "$here"/*.cmd; do
    name=$(basename "$cmd" .cmd)
    [ $# = 0 ] || [[ $name == *$1* ]] || continue
    tmp=$(mktemp -d)
    export tmp
    got=$( (bash "$cmd" 2>&1; echo "exit $?") | sed "s|$tmp|TMP|g; s|$rnc|rnc|g")
    rm -rf "$tmp"
    if [ "${BLESS:-}" = 1 ]; then
        printf '%s\n' "$got" >"$here/$name.out"
    fi
    if diff -u "$here/$name.out" - <<<"$got"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $name    (alone: $here/run.sh $name)"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
