opt --passes=simplify,fuse,layout,workspace,schedule,plan --cpu=x86-64-v4 list-layout.ir
