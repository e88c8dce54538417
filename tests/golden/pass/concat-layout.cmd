opt --passes=concat,fuse,layout --cpu=x86-64-v3 --report concat.ir
