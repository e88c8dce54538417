$rnc plan resnet18 --train --memory-budget much
