#!/usr/bin/env bash
# `make lint` finds each kind of offence, says where, and fails; so it does when a tool is missing. It runs on a small
# tree of its own. (tests/golden/format/lint.test has the messages about lines and words.)
set -u
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
for tool in clang-format-14 clang-tidy-14 shellcheck llvm-config-19 pkg-config; do
    command -v $tool >/dev/null && continue
    echo "SKIPPED: what lint finds: $tool is not here"
    echo "0 passed, 0 failed"
    exit 0
done
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/compiler" "$tree/tools"
cp -r .ci .clang-format .clang-tidy "$tree"
for tool in bash dirname grep; do ln -s "$(command -v $tool)" "$tree/tools"; done
cat >"$tree/compiler/README.md" <<'END'
# A page

## Glossary

| term | meaning | not |
| --- | --- | --- |
| task | a unit of work | `\bpieces?\b` |
END

# lint STATUS TEXT CHECK FILE: the check of FILE, whose content is standard input, ends so, and prints a line with TEXT.
lint() {
    local out status
    mkdir -p "$(dirname "$tree/$4")"
    cat >"$tree/$4"
    out=$(PATH=${path:-$PATH} "$tree/.ci/lint" "$3" -- "$4" 2>&1)
    status=$?
    if [ $status = "$1" ] && grep -qF -- "$2" <<<"$out"; then
        passed=$((passed + 1))
    else
        printf 'FAILED: .ci/lint %s: status %s, not %s, or no "%s" in:\n%s\n' "$3" $status "$1" "$2" "$out"
        failed=$((failed + 1))
    fi
}

good='int twice(int a);
int twice(int a) { return 2 * a; }'
lint 0 'format: ok' format compiler/a.c <<<"$good"
lint 0 'tidy: ok' tidy compiler/a.c <<<"$good"
lint 1 'compiler/a.c:2:4: format differs: `make format` mends it' format compiler/a.c <<<'int a;
int  b;'
lint 1 'compiler/a.c:2:28: error: both sides of operator are equivalent' tidy compiler/a.c <<<'int same(int a);
int same(int a) { return a == a; }'
lint 1 "compiler/a.c:1:10: error: 'missing.h' file not found" tidy compiler/a.c <<<'#include "missing.h"'
lint 0 'shell: ok' shell a.sh <<<'#!/bin/sh
cd /tmp || exit'
lint 1 'a.sh:2:1: warning: Use '"'cd ... || exit'" shell a.sh <<<'#!/bin/sh
cd /tmp'
lint 1 'a.py:1: blanks at the end' lines a.py <<<'a = 1 '
lint 1 'a.c:1: "piece": write "task"' words a.c <<<'/* A piece. */'
lint 0 'words: ok' words a.c <<<'/* A task. */'
for each in format:clang-format-14 tidy:clang-tidy-14 shell:shellcheck lines:python3; do
    path=$tree/tools lint 1 "${each#*:} is missing" "${each%:*}" compiler/a.c <<<"$good"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
