#!/bin/sh
# Facts that live in one place: what only certain files may name. Prints every breach; the last line is "N passed, N
# failed" (facts).
cd "$(dirname "$0")/.." || exit 2
passed=0 failed=0

# fact WHAT PATTERN FILE…: a line of C that has PATTERN (grep -E) stands in one of the FILEs, and there is one.
fact() {
    what=$1 pattern=$2 found=0 bad=
    shift 2
    for file in $(grep -rlE --include='*.[ch]' "$pattern" compiler runtime | sort); do
        found=1
        case " $* " in *" $file "*) ;; *) bad="$bad $file" ;; esac
    done
    [ $found = 1 ] || bad=" nowhere: the pattern of this check is out of date"
    if [ -z "$bad" ]; then passed=$((passed + 1)); return; fi
    failed=$((failed + 1))
    echo "$what: only in $*; found in$bad"
}

# A number type is a row and its functions; all others ask its traits (ir/number.h).
fact "a rounded number type by its name" '\b(DT|RNC|SPEC)_BF16\b' \
    runtime/rt/abi.h runtime/rt/number.h runtime/rt/number.c compiler/ir/number.c compiler/gen/emit/number.c
fact "a number type's name as text" '"bf16"' runtime/rt/number.h
fact "the clock" 'clock_gettime|gettimeofday|timespec_get' runtime/rt/clock.h
fact "Philox's multipliers" '(D2511F53|d2511f53)' runtime/rt/philox.h
fact "FNV-1a's numbers" '(cbf29ce484222325|CBF29CE484222325|100000001[bB]3|14695981039346656037|1099511628211)' \
    runtime/rt/hash.h
fact "dims joined to a shape" '"%s%lld", [a-z]+ (>|\?)' compiler/base/buf.c runtime/io/weights.c
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
