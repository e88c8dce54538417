opt --passes=layout --cpu=x86-64-v4 --report layout-train-winograd.ir
