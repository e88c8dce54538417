#!/usr/bin/env bash
# Do two revisions generate the same code? tests/same-code.sh OLD [NEW]
# Builds both in worktrees and compares, for every shipped spec, inference and training, fp32 and bf16, and four
# targets: the planned IR's text, the LLVM text of every kernel (the constants that it reads written into it), and the
# model's tables (steps, tensors; ABI). A target is a CPU's name and its cache sizes, so a row means the same on every
# machine.
#   OLD, NEW   revisions; NEW is HEAD unless given. "." is the working tree as it is.
#   RENAMED    a sed script for both sides' text, for names that a commit says it renamed: RENAMED='s/\bfoo\b/bar/g'
#   ONLY       rows whose name contains it: ONLY=resnet18.train
#   KEEP       a folder for the builds and the texts (default: a cache folder), so that a second call builds only what
#   is new
# Prints every row that differs, with the first differing lines; the last line is "N passed, N failed". TABLES=no leaves
# the tables out, for a commit that means to change the ABI.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
keep=${KEEP:-${XDG_CACHE_HOME:-$HOME/.cache}/rnc-same-code}
mkdir -p "$keep"
jobs=$(nproc 2>/dev/null || echo 2)

# CPU, and the bytes of a core's first- and second-level caches and of the shared one
targets='x86-64-v3 32768 262144 8388608
x86-64-v4 49152 2097152 33554432
znver4 32768 1048576 16777216
armv8-a 0 0 0'

# Compilers ask sysconf for the caches; this answers in its place.
shim=$keep/caches.so
cat >"$keep/caches.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static long given(const char *name) { const char *s = getenv(name); return s ? atol(s) : 0; }
long sysconf(int name)
{
    long (*real)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    switch (name) {
    case _SC_LEVEL1_DCACHE_SIZE: return given("CACHE_L1");
    case _SC_LEVEL2_CACHE_SIZE: return given("CACHE_L2");
    case _SC_LEVEL3_CACHE_SIZE: return given("CACHE_L3");
    default: return real(name);
    }
}
C
gcc -O1 -shared -fPIC -o "$shim" "$keep/caches.c" -ldl

# The program of a revision, built once. Prints its path.
program() {
    local rev=$1 tree
    if [ "$rev" = . ]; then
        make -s -j"$jobs" all >&2
        echo "${BUILD:-build}/rnc"
        return
    fi
    rev=$(git rev-parse --verify --quiet "$rev^{commit}") || { echo "same-code: '$1' is no revision" >&2; exit 2; }
    tree=$keep/$rev
    if [ ! -x "$tree/build/rnc" ]; then
        git worktree prune
        [ -d "$tree" ] || git worktree add --quiet --detach "$tree" "$rev" >&2
        (cd "$tree" && make -s -j"$jobs" all) >&2
    fi
    echo "$tree/build/rnc"
}

rows() {
    local spec mode dtype target
    for spec in specs/*.yaml; do
        for mode in infer train; do
            for dtype in f32 bf16; do
                echo "$targets" | while read -r target; do
                    echo "$(basename "$spec" .yaml).$mode.$dtype.${target%% *} $target"
                done
            done
        done
    done | grep -F -- "${ONLY:-}"
}

# The LLVM text of a model as a digest: "kernel NAME SHA" for each function, then "tables SHA".
digest='
import hashlib, re, sys
name, lines, constants, tables = None, [], {}, []
def reference(m): return constants.get(m.group(0), m.group(0))
for line in sys.stdin:
    if name is None and line.startswith("@"):
        key, _, value = line.partition(" = ")
        if key[1:].isdigit(): constants[key] = "{" + value.strip() + "}"
        tables.append(line)
    elif line.startswith("define"):
        name, lines = re.search(r"@([\w.\"]+)", line).group(1), []
    if name is not None:
        lines.append(re.sub(r"@\d+", reference, line))
        if line.startswith("}"):
            print("kernel", name, hashlib.sha1("".join(lines).encode()).hexdigest())
            name = None
print("tables", hashlib.sha1("".join(tables).encode()).hexdigest())
'

# RNC OUT ROW CPU L1 L2 L3: the two texts of a row, unless they are there.
emit_row() {
    local rnc=$1 out=$2 row=$3 cpu=$4 spec mode dtype flag=
    IFS=. read -r spec mode dtype _ <<<"$row"
    [ "$mode" = train ] && flag=--train
    export CACHE_L1=$5 CACHE_L2=$6 CACHE_L3=$7 RNC_CACHE=off
    compile() { LD_PRELOAD=$shim "$rnc" compile "$spec" $flag --dtype "$dtype" --cpu "$cpu" --threads 1 --emit "$1" \
        2>&1; }
    [ -s "$out/$row.ir" ] || { compile ir | sed -E "$RENAMED" >"$out/$row.part" && mv "$out/$row.part" "$out/$row.ir"; }
    [ -s "$out/$row.llvm" ] || { compile llvm | sed -E "$RENAMED" | python3 -c "$digest" >"$out/$row.part" &&
        mv "$out/$row.part" "$out/$row.llvm"; }
}
export RENAMED=${RENAMED:-}
export -f emit_row
export shim digest

texts() {
    local rnc=$1 out=$2
    mkdir -p "$out"
    rows | xargs -P "$jobs" -L 1 bash -c 'emit_row "$@"' emit_row "$rnc" "$out"
}

old=$1 new=${2:-HEAD}
working=$keep/texts-working-$(pwd | cksum | tr -d ' ') # a working tree may be one of several
side() { [ "$1" = . ] && echo "$working" ||
    echo "$keep/texts-$(git rev-parse "$1")$(printf %s "$RENAMED" | cksum | tr -d ' ')"; }
old_program=$(program "$old") new_program=$(program "$new")
old_texts=$(side "$old") new_texts=$(side "$new")
rm -rf "$working"
texts "$old_program" "$old_texts"
texts "$new_program" "$new_texts"

passed=0 failed=0
while read -r row _; do
    for what in ir llvm; do
        [ "${TABLES:-yes}" = no ] && without='^tables' || without='^$'
        if difference=$(diff <(grep -v "$without" "$old_texts/$row.$what") \
            <(grep -v "$without" "$new_texts/$row.$what")); then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "$row: the $what text differs"
            head -n 6 <<<"$difference" | cut -c 1-160
        fi
    done
done < <(rows)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
