# Every operator that is listed has a page; every layer and loss an example, which has a gradient.
$rnc op | sed -n 's/^  \([a-z0-9_]*\)  .*/\1/p' >$tmp/names
while read -r name; do
    $rnc op $name >$tmp/page || echo "$name has no page"
    grep -H "(null)" $tmp/page
    head -n 1 $tmp/page | grep -q 'no spec can name it' && continue
    grep -q "^  - $name" $tmp/page && grep -q '^  gradient *yes' $tmp/page || cat $tmp/page
done <$tmp/names
[ $(wc -l <$tmp/names) -gt 50 ] && $rnc op | grep -v '^  '
