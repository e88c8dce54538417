opt --passes=precision,layout --cpu znver4 --dtype bf16 --report precision-stem.ir
