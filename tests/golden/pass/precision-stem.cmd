opt --passes=precision --cpu znver4 --dtype bf16 --report precision-stem.ir
