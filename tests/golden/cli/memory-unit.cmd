$rnc plan resnet18 --train --memory-budget 2
