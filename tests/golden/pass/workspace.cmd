opt --passes=autodiff,simplify,fuse,layout,workspace --update=sgd --cpu=x86-64-v4 --report workspace.ir
