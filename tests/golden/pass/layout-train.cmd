opt --passes=autodiff,simplify,fuse,layout --update=sgd --cpu=x86-64-v4 --report layout-train.ir
