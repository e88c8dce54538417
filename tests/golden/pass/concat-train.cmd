opt --passes=concat,autodiff,simplify,fuse,layout,workspace,recompute,schedule,plan --update=sgd --cpu=x86-64-v4 --report concat-train.ir
