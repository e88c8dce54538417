#!/usr/bin/env bash
# Runs every test and adds up.
#   tests/run.sh            all suites
#   tests/run.sh WORD…      those whose name contains a WORD
#   tests/run.sh --quick    those of `make test-quick` (the list `quick` below)
# Each suite is a script or program that prints "N passed, N failed" (or is cmocka's). Its output is shown when it
# fails,
# with the command that runs it alone. A line "SKIPPED …" of a suite is always shown. Suites run side by side, one for
# each processor (JOBS=1: one after another); those that take longest begin first.
# BUILD: the build folder. BLESS=1: golden suites rewrite what they expect.
set -u
cd "$(dirname "$0")/.." || exit 2
export BUILD=${BUILD:-build} MODE=${MODE:-release} RNC_VERIFY=1
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export RNC=${RNC:-$BUILD/rnc}
# Every test compiles what it tests, and none touches the user's cache; tests/cache makes folders of its own.
export RNC_CACHE=off
export CMOCKA_MESSAGE_OUTPUT=stdout
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-print_suppressions=0}
log=$BUILD/tests/log
rm -rf "$log" && mkdir -p "$log" || exit 2
export log
start=$SECONDS
jobs=${JOBS:-$(nproc)}

# The suites that take longest, as regular expressions; they begin first, in this order.
slowest='tests/widths/
tests/op/test_op$
tests/diff/
tests/shapes/test_shapes
tests/cross/
tests/golden/run.sh run$
tests/bf16/
tests/golden/run.sh data$
tests/memory/
tests/shapes/run
tests/cache/
tests/random/
tests/golden/run.sh bound$
tests/unit/test_passes
tests/vectors/
tests/tune/
tests/golden/run.sh convention$
tests/tasks/'
# What `make test-quick` runs: at most 60 s on two cores.
quick='tests/check-
tests/golden/run.sh (cli|number|object|pass|right|spec)$
tests/readme/
tests/fuzz/
tests/op/test_(philox|region|repack|torch)$
tests/runtime/test_
tests/unit/test_'
not_quick=tests/unit/test_passes

suites() {
    printf '%s\n' tests/check-*.sh
    find tests -mindepth 2 -name run.sh ! -path tests/golden/run.sh | sort
    for folder in tests/golden/*/; do echo "tests/golden/run.sh $(basename "$folder")"; done
    find examples -mindepth 2 -name test.sh | sort
    for source in tests/*/test_*.c; do
        [ -f "$source" ] && echo "$BUILD/${source%.c}"
    done
}

# The counts in FILE: the last "N passed, N failed", or cmocka's summary.
counts() {
    local line
    line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1)
    if [ -n "$line" ]; then
        echo "$line" | sed -E 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/'
    else
        awk '/^\[  PASSED  \]/ { p += $4 }
             /^\[  FAILED  \] [0-9]+ test/ { f += $4 } END { if (p + f) print p + 0, f + 0 }' "$1"
    fi
}

# Runs a suite and reports it: its line, and what it printed where it failed. The counts go to $log/counts.
run_suite() {
    local suite=$1 name file status passed failed began
    name=${suite#"$BUILD"/}
    file=$log/$(echo "$name" | tr '/ ' __).log
    began=$SECONDS
    # shellcheck disable=SC2086 # a program and its arguments
    $suite >"$file" 2>&1 </dev/null
    status=$?
    read -r passed failed <<<"$(counts "$file")"
    passed=${passed:-0} failed=${failed:-0}
    # A crash, or a program that printed no count, is a failure whatever it had counted so far.
    if [ $status != 0 ] && [ "$failed" = 0 ] || [ "$passed$failed" = 00 ]; then failed=$((failed + 1)); fi
    echo "$passed $failed" >>"$log/counts"
    if [ "$failed" = 0 ]; then
        printf '  ok    %-44s %5d passed  %3d s\n' "$name" "$passed" $((SECONDS - began))
        sed -n 's/^SKIPPED/        SKIPPED/p' "$file"
    else
        printf '  FAIL  %-44s %5d passed, %d failed  %3d s\n' "$name" "$passed" "$failed" $((SECONDS - began))
        tail -n 60 "$file" | sed 's/^/        /'
        [ $status -gt 128 ] && echo "        killed by signal $((status - 128))"
        echo "        alone: BUILD=${BUILD#"$PWD"/} RNC=${RNC#"$PWD"/} RNC_VERIFY=1 RNC_CACHE=off ${suite#"$PWD"/}"
        echo "        log: ${file#"$PWD"/}"
    fi
}
export -f counts run_suite

# Is SUITE one that the command line names?
wanted() {
    local suite=$1 word
    shift
    [ $# = 0 ] && return 0
    for word in "$@"; do case ${suite/run.sh /} in *"$word"*) return 0 ;; esac; done
    return 1
}

if [ "${1:-}" = --quick ]; then
    suites | grep -E "$quick" | grep -v "$not_quick"
else
    suites | while read -r suite; do
        if wanted "$suite" "$@"; then echo "$suite"; fi
    done
fi >"$log/suites"
touch "$log/counts"
# What a suite prints appears at once, when it has ended.
{
    while read -r pattern; do grep -E "$pattern" "$log/suites"; done <<<"$slowest"
    grep -vE "$slowest" "$log/suites"
} |
    xargs -r -d '\n' -n 1 -P "$jobs" bash -c 'printf "%s\n" "$(run_suite "$1")"' run_suite
read -r passed failed <<<"$(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$log/counts")"
echo "$((SECONDS - start)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
