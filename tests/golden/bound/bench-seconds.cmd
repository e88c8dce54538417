# --seconds is a bound: of a network whose run takes longer, one run is made. Without it a few are.
$rnc bench resnet18 --batch 8 --seconds 0.001 --threads 1 --json | grep '"runs"'
$rnc bench resnet20 -p n=1 -p size=8 --seconds 0.2 --threads 1 --json | grep '"runs"' | grep -c ': 1,$'
