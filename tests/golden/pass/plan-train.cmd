opt --passes=autodiff,simplify,fuse,layout,workspace,schedule,plan --update=adam --cpu=x86-64-v4 --report fuse-train.ir
