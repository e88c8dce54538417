#!/bin/sh
# Who may include whom: the table in compiler/README.md. Prints every breach; the last line is "N passed, N failed"
# (files).
cd "$(dirname "$0")/.." || exit 2

# "FOLDER what it may include", a line for each row of the table
table=$(sed -n 's/^| `\([a-z/]*\)` | [^|]* |\(.*\)|$/\1 \2/p' compiler/README.md | tr -d '`,')
[ -n "$table" ] || { echo "compiler/README.md has no table of folders"; echo "0 passed, 1 failed"; exit 1; }

# The row of a folder or, where it has none, of the nearest above it: its name and what its files may include.
row() {
    folder=$1
    while [ "$folder" != . ]; do
        echo "$table" | grep "^$folder " && return
        folder=$(dirname "$folder")
    done
    return 1
}

passed=0 failed=0
breach() { echo "$1"; failed=$((failed + 1)); }

for file in $(find compiler runtime -name '*.[ch]' | sort); do
    folder=$(dirname "$file")
    # shellcheck disable=SC2046
    set -- $(row "$folder") || true
    [ $# -gt 0 ] || { breach "$file: compiler/README.md's table has no row for $folder"; continue; }
    own=${1#compiler/}
    shift
    bad=
    for inc in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
        case $inc in
        "$own"/* | *.def) continue ;;
        */*) ;;
        *) [ -f "$folder/$inc" ] && continue ;;
        esac
        for may in "$@"; do
            case $inc in "$may" | "$may"/*) continue 2 ;; esac
        done
        bad="$bad \"$inc\""
    done
    for inc in $(sed -n 's/^ *# *include *<\([^>]*\)>.*/\1/p' "$file"); do
        case $inc in
        llvm-c/* | llvm/*) case $file in compiler/gen/* | compiler/measure/peak.c) ;; *) bad="$bad <$inc>" ;; esac ;;
        yaml.h) [ "$file" = compiler/spec/yaml.c ] || bad="$bad <$inc>" ;;
        cblas.h | openblas*) [ "$file" = compiler/measure/blas.c ] || bad="$bad <$inc>" ;;
        esac
    done
    if [ -n "$bad" ]; then breach "$file may not include$bad (compiler/README.md: $own may include: $*)";
        else passed=$((passed + 1)); fi
done

# exit() belongs to cli/ alone; the one other place is the arena, when there is no memory left.
for file in $(grep -rlE --include='*.c' '(^|[^_[:alnum:]])(exit|_exit|quick_exit) *\(' compiler runtime); do
    case $file in
    compiler/cli/* | compiler/base/arena.c) ;;
    *) breach "$file calls exit(): only cli/ decides exit statuses" ;;
    esac
done
# So does printing: report/ and cli/ print. What is left are the arena, when there is no memory, and base/diag.c, whose
# diag_bug aborts.
prints='(^|[^_[:alnum:]])(v?printf|puts|putchar|perror) *\(|[^_[:alnum:]](stdout|stderr)([^_[:alnum:]]|$)'
for file in $(grep -rlE --include='*.c' "$prints" compiler); do
    case $file in
    compiler/cli/* | compiler/report/* | compiler/base/arena.c | compiler/base/diag.c) ;;
    *) breach "$file prints: $(grep -nE "$prints" "$file" | head -n 1)" ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
