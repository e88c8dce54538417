#!/bin/sh
# Who may include whom (compiler/README.md). Prints every breach; the last line is "N passed, N failed" (files).
cd "$(dirname "$0")/.." || exit 2

# allowed FILE'S FOLDER -> the folders and headers its files may include
allowed() {
    case $1 in
    compiler/base) echo "base" ;;
    compiler/spec) echo "base spec ir op" ;;
    compiler/ir) echo "base ir op" ;;
    compiler/op) echo "base ir op" ;;
    compiler/build) echo "base spec ir op build" ;;
    compiler/pass) echo "base ir op pass" ;;
    compiler/gen) echo "base ir op pass gen runtime/abi.h runtime/winograd.h" ;;
    compiler/cli) echo "base spec ir op build pass gen cli runtime" ;;
    runtime) echo "runtime" ;;
    esac
}

passed=0 failed=0
for file in compiler/*/*.[ch] runtime/*.[ch]; do
    [ -f "$file" ] || continue
    folder=$(dirname "$file")
    may=" $(allowed "$folder") "
    bad=
    for inc in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
        case $inc in */*) top=${inc%%/*} ;; *) top=${folder##*/} ;; esac
        case $may in *" $top "* | *" $inc "*) ;; *) [ "${inc%.def}" = "$inc" ] && bad="$bad \"$inc\"" ;; esac
    done
    for inc in $(sed -n 's/^ *# *include *<\([^>]*\)>.*/\1/p' "$file"); do
        case $inc in
        llvm-c/* | llvm/*) [ "$folder" = compiler/gen ] || bad="$bad <$inc>" ;;
        yaml.h) [ "$file" = compiler/spec/yaml.c ] || bad="$bad <$inc>" ;;
        cblas.h | openblas*) [ "$file" = compiler/gen/blas.c ] || bad="$bad <$inc>" ;;
        esac
    done
    if [ -n "$bad" ]; then
        echo "$file may not include$bad (its folder may:$may)"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done
# exit() belongs to cli/ alone; the one other place is the arena, when there is no memory left.
for file in $(grep -lE '(^|[^_[:alnum:]])(exit|_exit|quick_exit) *\(' compiler/*/*.c runtime/*.c 2>/dev/null); do
    case $file in
    compiler/cli/* | compiler/base/arena.c) ;;
    *) echo "$file calls exit(): only cli/ decides exit statuses"; failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
