# A number has its range at its declaration; none stands for "not given".
try() { $rnc "$@" 2>&1 | head -n 2; }
try train nosuch --lr -1
try train nosuch --lr 1e-3x
try train nosuch --epochs 0
try bench nosuch --seconds -3
try bench nosuch --seconds 0
try verify nosuch --tolerance -1
try opt nosuch --momentum 2
try opt nosuch --momentum -1
try bench nosuch --mode fast
try compile nosuch --winograd f3
try train nosuch --tune=1441m
