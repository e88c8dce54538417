#!/bin/sh
# A kernel family is named by the operators' rows (compiler/op), by the table (compiler/kernel/family.c) and by that of
# the lowerings (compiler/gen/module/family.c) alone; an algorithm by its own room (compiler/kernel) and the lowerings:
# all others ask traits. Prints every breach; the last line is "N passed, N failed" (files; breaches).
cd "$(dirname "$0")/.." || exit 2

families=$(sed -n 's/^const struct kernel_family family_\([a-z]*\) = .*/\1/p' compiler/kernel/family.c | paste -sd'|' -)
algorithms=$(sed -n 's/^ *[A-Z]*(\([a-z]*[0-9]*\), ".*", method_.*/\1/p' compiler/kernel/algorithm.c | paste -sd'|' -)
[ -n "$families" ] && [ -n "$algorithms" ] || { echo "the tables of compiler/kernel/ were not found";
    echo "0 passed, 1 failed"; exit 1; }

breaches=$({
    grep -rnE --include='*.[ch]' "\\bfamily_($families)\\b|\\bKERNEL_[A-Z]+\\b" compiler |
        grep -vE '^compiler/(ir/family\.h|(kernel|gen/module)/family\.c):|^compiler/op/.*\.family = &family_|_H$'
    grep -rnE --include='*.[ch]' "\\bmethod_[a-z]+\\b|\"($algorithms)\"" compiler |
        grep -vE '^compiler/(kernel/|gen/module/family\.c:)'
})
failed=0
if [ -n "$breaches" ]; then
    echo "$breaches"
    failed=$(echo "$breaches" | wc -l)
fi
echo "$(find compiler -name '*.[ch]' | wc -l) passed, $failed failed"
[ "$failed" = 0 ]
