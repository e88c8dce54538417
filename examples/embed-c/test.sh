#!/bin/sh
# Builds the example in a folder of its own, runs it, and looks at what it links.
set -eu
cd "$(dirname "$0")"
rnc=$(cd "$(dirname "${RNC:-../../build/rnc}")" && pwd)/rnc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0
check() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else echo "FAILED: $2"; failed=$((failed + 1)); fi; }
case ${MODE:-release} in asan) cc="gcc -fsanitize=address,undefined" ;; ubsan) cc="gcc -fsanitize=undefined" ;;
    tsan) cc="gcc -fsanitize=thread" ;; *) cc=gcc ;; esac
make -s run CC="$cc" RNC="$rnc" OUT="$out" >"$out/log" 2>&1 && status=0 || status=$?
cat "$out/log"
check $status "make run"
tail -n 1 "$out/log" | grep -q '^It is a 7\.$' && status=0 || status=1
check $status "the seven is a seven"
# shellcheck disable=SC2015
ldd "$out/digit" | grep -qiE 'llvm|blas|yaml|jansson|cairo|png|jpeg' && status=1 || status=0
check $status "digit links nothing but the C library"
make -s clean OUT="$out"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
