"$rnc" compile resnet20 --dtype bf16 --cpu x86-64-v3 --emit ir-raw >/dev/null
