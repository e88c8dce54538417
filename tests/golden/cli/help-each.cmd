for c in $($rnc help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    $rnc $c --help >$tmp/1 && $rnc help $c >$tmp/2 && cmp $tmp/1 $tmp/2 && [ $(wc -l <$tmp/1) -gt 3 ] && head -n 1 $tmp/1
done
