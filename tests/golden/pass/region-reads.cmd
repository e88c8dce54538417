opt --passes=simplify,concat,fold,fuse,precision,algorithm,layout,workspace,schedule,plan --cpu=x86-64-v4 region-reads.ir
