opt --passes=precision --dtype bf16 --report precision.ir
