# The name in the program, in the header, and what the spec's own name gives.
net=tests/object/net.yaml
for o in "" "--train" "--name first" "--train --name 2nd"; do
    $rnc compile $net $o -o $tmp/net.o | tail -n 1 | sed "s|, [0-9.]* KiB||"
    nm $tmp/net.o | awk '$2 ~ /[A-Z]/ && $2 != "U" { print $3 }'
    grep -E '^(extern|#define .*_BATCH)' $tmp/net.h
done
