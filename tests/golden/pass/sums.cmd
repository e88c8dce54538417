opt --passes=autodiff,simplify,fuse,layout,workspace,recompute,sums,schedule,plan --update=sgd --cpu=x86-64-v4 --report recompute.ir
