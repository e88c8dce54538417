# --seconds is a bound: of a network whose run takes longer, one run is made.
$rnc bench resnet18 --batch 8 --seconds 0.001 --threads 1 --json | grep '"runs"'
