opt --passes=algorithm,layout --cpu x86-64-v4 --report algorithm.ir
