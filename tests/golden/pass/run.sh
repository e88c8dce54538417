#!/usr/bin/env bash
# The IR's text and the passes: each NAME.cmd holds the arguments for one run of rnc in this folder; what it prints on both streams is
# NAME.out. BLESS=1 rewrites. A WORD runs only the cases whose name contains it.
set -u
cd "$(dirname "$0")/../../.." || exit 2
rnc=$(realpath "${RNC:-build/rnc}")
export NO_COLOR=1
cd tests/golden/pass || exit 2
passed=0 failed=0
for cmd in *.cmd; do
    name=${cmd%.cmd}
    [ $# = 0 ] || [[ $name == *$1* ]] || continue
    # shellcheck disable=SC2046 # the arguments are words
    got=$("$rnc" $(cat "$cmd") 2>&1)
    if [ "${BLESS:-}" = 1 ]; then printf '%s\n' "$got" >"$name.out"; fi
    if diff -u "$name.out" - <<<"$got"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $name    (alone: tests/golden/pass/run.sh $name)"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
