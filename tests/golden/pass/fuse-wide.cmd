opt --passes=fuse --report fuse-wide.ir
