opt --passes=layout --cpu=x86-64-v3 layout-stem.ir
