opt --passes=simplify,fold,fuse,layout,workspace,schedule,plan --cpu=x86-64-v4 --report plan.ir
