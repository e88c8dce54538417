# A metric that nothing in the spec has: refused by check, and by every command alike.
for command in check summary expand compile; do $rnc $command $here/one-class.yaml --set 'metrics=[miou]' 2>&1 | grep -c "metric 'miou'"; done
$rnc check $here/one-class.yaml --set 'metrics=[miou]'
