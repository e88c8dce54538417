opt --passes=autodiff,simplify,fuse,layout --cpu=x86-64-v4 layout-train.ir
