opt --passes=autodiff,simplify,fuse,algorithm,layout,workspace,recompute,prologue --update=sgd --cpu=x86-64-v4 --report prologue.ir
