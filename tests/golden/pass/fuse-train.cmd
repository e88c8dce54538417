opt --passes=autodiff,simplify,fuse --update=sgd --report fuse-train.ir
