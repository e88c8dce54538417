opt --passes=simplify,fold,fuse,layout --cpu=x86-64-v4 --report fold.ir
