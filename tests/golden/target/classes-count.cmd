for classes in '[a, b, c]' '[a, b]'; do
    $rnc check $here/map-half.yaml --set "classes=$classes"
    $rnc summary $here/map-half.yaml --set "classes=$classes" | head -1
done
$rnc check $here/binary.yaml --set 'classes=[ill, so, well]'
$rnc check $here/multi.yaml --set 'classes=[a, b]'
$rnc check $here/multi.yaml
