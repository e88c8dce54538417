#!/bin/sh
# Who may name an operator: its family's file in compiler/op, and beyond that the constants of compiler/ir/opname.h
# alone, the optimizers' rows, each of which names its update, and the tables of rows about operators below. Everybody
# else asks the rows' traits. Prints every breach; the last line is "N passed, N failed" (files and constants).
cd "$(dirname "$0")/.." || exit 2
constants=compiler/ir/opname.h
tables=" compiler/spec/convention.c compiler/base/word.c " # an operator's defaults elsewhere; what others call it

# Words of other tables that happen to be an operator's name: FILE WORD, and what it is there.
others='
compiler/driver/layers.c pointwise            a kind of work in reports
compiler/driver/layers.c repack
compiler/kernel/family.c pointwise         a family of kernels
compiler/kernel/family.c region
compiler/kernel/family.c softmax
compiler/gen/conv/conv.c dense             a kernel in the object file
compiler/gen/emit/expr.c tanh              a function of scalar expressions
compiler/gen/pointwise/pointwise.c tanh
compiler/pass/optimise/concat.c concat     a pass
runtime/task/regression.c mean_squared_error   a metric
runtime/recipe/preprocess.c resize    how a picture gets its size
'

# "FILE NAME" for each row, "ATTRIBUTE" for each attribute, of the operators' files
rows() {
    awk '
        FNR == 1 { inside = 0 }
        /_rows\[\] = \{/ && !/extern/ { inside = 1 }
        match($0, /\.name = ("[a-z0-9_]+"|OPNAME_[A-Z0-9_]+)/) {
            name = substr($0, RSTART + 8, RLENGTH - 8)
            if (name ~ /^OPNAME_/) name = tolower(substr(name, 8))
            gsub(/"/, "", name)
            print inside ? "row " FILENAME " " name : "attribute - " name
        }
        /^\};/ { inside = 0 }' compiler/op/*.c
}

table=$(rows)
[ "$(echo "$table" | grep -c '^row ')" -gt 50 ] || { echo "no operators found in compiler/op";
    echo "0 passed, 1 failed"; exit 1; }

# shellcheck disable=SC2046
breaches=$(printf '%s\n' "$table" "$(sed 's/^\(..*\)/other \1/' <<EOF
$others
EOF
)" | awk -v constants="$constants" -v vocabulary=runtime/recipe/optimizer.c -v tables="$tables" \
    -v updates=compiler/op/update.c '
    FNR == NR && $1 == "row" { family[$3] = $2; next }
    FNR == NR && $1 == "attribute" { attribute[$3] = 1; next }
    FNR == NR { if ($1 == "other") other[$2 " " $3] = 1; next }
    FILENAME == constants { if ($1 == "#define" && $2 ~ /^OPNAME_/) constant[tolower(substr($2, 8))] = 1; next }
    {
        line = $0
        asks = line ~ /node_is *\(|op_find *\(|op_build[a-z_]* *\(|op_become *\(|op->name/
        while (match(line, /"([^"\\]|\\.)*"/)) {
            word = substr(line, RSTART + 1, RLENGTH - 2)
            line = substr(line, RSTART + RLENGTH)
            if (!(word in family) || (attribute[word] && !asks) || other[FILENAME " " word]) continue
            if (family[word] == FILENAME && !constant[word]) continue
            if (FILENAME == vocabulary && family[word] == updates) continue
            if (index(tables, " " FILENAME " ")) continue
            print FILENAME ":" FNR ": \"" word "\": " \
                (constant[word] ? "use OPNAME_" toupper(word) : "ask a trait (compiler/ir/op.h)")
        }
        if ($0 ~ /str(n?cmp|str|chr|rchr)\(.*op->name.*"/) print FILENAME ":" FNR ": a part of an operator'"'"'s name"
    }' - "$constants" $(find compiler runtime -name '*.[ch]' ! -path "$constants" | sort))
[ -z "$breaches" ] || echo "$breaches"
failed=$(printf %s "$breaches" | grep -c .)
passed=$(find compiler runtime -name '*.[ch]' | wc -l)

# A constant stands for an operator and is used outside its family's file.
for name in $(sed -n 's/^#define OPNAME_\([A-Z0-9_]*\) .*/\1/p' "$constants"); do
    file=$(echo "$table" | awk -v n="$(echo "$name" | tr '[:upper:]' '[:lower:]')" \
        '$1 == "row" && $3 == n { print $2 }')
    if [ -n "$file" ] && grep -rlw "OPNAME_$name" compiler --include='*.[ch]' |
        grep -qv -e "^$file\$" -e "^$constants\$"; then
        passed=$((passed + 1))
    else
        echo "$constants: OPNAME_$name is not needed"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
