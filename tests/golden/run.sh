#!/usr/bin/env bash
# Golden tests: run.sh [FOLDER|FILE.test] [WORD]. A test is one file, FOLDER/NAME.test: a comment that says what it
# shows, commands for
# bash, input files, and the expected output (tests/README.md shows one). Without FOLDER all folders; a WORD selects by
# name.
# BLESS=1 rewrites the expected output. RNC names the program.
set -u
cd "$(dirname "$0")/../.." || exit 2
rnc=$(realpath "${RNC:-build/rnc}")
[ -x "$rnc" ] || { echo "tests/golden/run.sh: no program $rnc: run make, or set RNC"; exit 2; }
root=$PWD
links=$(mktemp -d) log=$(mktemp) || exit 2
trap 'rm -rf "$links" "$log"' EXIT
ln -s "$rnc" "$links/rnc"
export rnc root PATH=$links:$PWD/tests/support:$PATH
export NO_COLOR=1 PYTHONPATH=$PWD/tests/support PYTHONDONTWRITEBYTECODE=1

# split FILE FOLDER: the commands to FOLDER/commands, the input files to FOLDER/files, the expected output to
# FOLDER/want. Says what is
# wrong with an ill-formed file.
split() {
    awk -v file="$1" -v to="$2" '
    function wrong(what) { print file ":" NR ": " what; failed = 1; exit }
    BEGIN { out = to "/commands" }
    /^-- .* --$/ {
        name = substr($0, 4, length($0) - 6)
        if (out == to "/want") wrong("a section after \"-- output --\", which is the last one")
        if (name in seen) wrong("a second section \"" name "\"")
        if (name ~ /^\// || name ~ /(^|\/)\.\.(\/|$)/) wrong("the section \"" name "\" is outside the working folder")
        seen[name] = 1
        out = name == "output" ? to "/want" : to "/files/" name
        if (name ~ /\//) { folder = out; sub(/\/[^\/]*$/, "", folder); system("mkdir -p \"" folder "\"") }
        printf "" >out
        next
    }
    out == to "/commands" && /^--/ { wrong("a section is written -- NAME --") }
    out == to "/commands" && !/^#/ && NF { commands = 1 }
    { print >out }
    END {
        if (failed) exit 1
        if (!commands) { print file ": no command before the first section"; exit 1 }
        if (!("output" in seen)) { print file ": no section \"-- output --\" (BLESS=1 writes it)"; exit 1 }
    }' "$1"
}

# one FILE: runs a test, compares or blesses.
one() {
    local file=$1 tmp status
    tmp=$(mktemp -d)
    mkdir "$tmp/files"
    here=$root/$(dirname "$file")
    export here
    [ "${BLESS:-}" = 1 ] && ! grep -q '^-- output --$' "$file" && echo '-- output --' >>"$file"
    if ! split "$file" "$tmp"; then
        echo "FAILED: $file"
        rm -rf "$tmp"
        return
    fi
    touch "$tmp/commands"
    (cd "$tmp/files" && exec bash ../commands) >"$tmp/raw" 2>&1 </dev/null
    status=$?
    { sed "s|$tmp/files/||g; s|$tmp/files|.|g; s|$root/||g" "$tmp/raw"; echo "exit $status"; } >"$tmp/got"
    if [ "${BLESS:-}" = 1 ] && ! cmp -s "$tmp/want" "$tmp/got"; then
        { sed '/^-- output --$/q' "$file"; cat "$tmp/got"; } >"$tmp/new" && cp "$tmp/new" "$file"
        cp "$tmp/got" "$tmp/want"
    fi
    if diff -u --label "$file: expected" --label "$file: got" "$tmp/want" "$tmp/got"; then echo "passed $file"
    else echo "FAILED: $file    (alone: tests/golden/run.sh $file; BLESS=1 accepts)"; fi
    chmod -R u+w "$tmp"
    rm -rf "$tmp"
}
export -f split one

# The tests that the arguments select. Sanitizers reserve terabytes of addresses, so a test that limits memory is
# skipped there.
selected() {
    local at=tests/golden word=$1 file
    [ -n "$2" ] && at=$2
    find "$at" -name '*.test' | LC_ALL=C sort | while read -r file; do
        [[ $(basename "$file") == *"$word"* ]] || continue
        case ${MODE:-release} in
        asan | tsan) grep -q 'ulimit -v' "$file" && { echo "SKIPPED $file: it limits memory" >&2; continue; } ;;
        esac
        printf '%s\0' "$file"
    done
}
at=${1:-}
case $at in
'' | *.test) ;;
/*) at=$(realpath --relative-to="$root" "$at") ;;
*) [ -d "$at" ] || at=tests/golden/$at ;;
esac
if [ -n "$at" ] && [ ! -e "$at" ]; then echo "tests/golden/run.sh: no folder or file $at"; exit 2; fi
selected "${2:-}" "$at" >"$links/selected"
if [ ! -s "$links/selected" ]; then
    echo "tests/golden/run.sh: no test in ${at:-tests/golden} has '${2:-}' in its name"
    exit 2
fi
xargs -0 -r -n 1 -P "$(nproc)" bash -c 'printf "%s\n" "$(one "$1")"' one <"$links/selected" >"$log"
grep -v '^passed ' "$log"
passed=$(grep -c '^passed ' "$log") failed=$(grep -c '^FAILED: ' "$log")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
