#!/bin/sh
# Builds the example in a folder of its own and runs it.
set -eu
cd "$(dirname "$0")"
build=$(cd "$(dirname "${RNC:-../../build/rnc}")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
check() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else echo "FAILED: $2"; failed=$((failed + 1)); fi; }
case ${MODE:-release} in asan) cc="gcc -fsanitize=address,undefined" ;; ubsan) cc="gcc -fsanitize=undefined" ;;
    tsan) cc="gcc -fsanitize=thread" ;; *) cc=gcc ;; esac
make -s run CC="$cc" BUILD="$build" OUT="$out" >"$out/log" 2>&1 && status=0 || status=$?
cat "$out/log"
check $status "make run"
grep -qE '^tiny: 0\.[0-9]{4} 0\.[0-9]{4} 0\.[0-9]{4}$' "$out/log" && status=0 || status=1
check $status "three probabilities"
grep -qE '^([0-9]+) of \1 checks passed$' "$out/log" && status=0 || status=1
check $status "all checks pass"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
