opt --passes=precision,layout --cpu x86-64-v4 --dtype bf16 precision-stem.ir
