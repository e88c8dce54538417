#!/usr/bin/env bash
# Whole networks of full width with every convolution by Winograd that can be: outputs within 1e-5 of the interpreter in
# double precision (rnc verify's own limit), at images small enough for a test. Arguments: words that a case's name must
# contain.
set -u
cd "$(dirname "$0")/../.." || exit 2
rnc=${RNC:-build/rnc}
passed=0 failed=0
while read -r spec args; do
    name="$spec $args"
    [ $# = 0 ] || [[ $name == *$1* ]] || continue
    # shellcheck disable=SC2086
    if out=$("$rnc" verify $spec --infer $args 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n     alone: %s verify %s --infer %s\n' "$name" \
            "$(grep -aE 'WRONG|error|checks passed' <<<"$out")" "$rnc" "$spec" "$args"
    fi
done <<'CASES'
resnet20 -p n=3 --winograd f4
resnet18 -p size=64 --winograd f4
resnet18 -p size=64 --winograd f5
resnet34 -p size=64 --winograd f2
resnet50 -p size=64 --winograd f5
unet -p size=32 -p width=32 --winograd f5
retinanet -p size=128 --batch 1 --winograd f4
CASES
echo "$passed passed, $failed failed"
[ $failed = 0 ]
