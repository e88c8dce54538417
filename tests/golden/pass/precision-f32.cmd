opt --passes=precision --report precision.ir
