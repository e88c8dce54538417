opt --passes=fuse --report fuse-conv.ir
