opt --passes=fuse --report fuse-groups.ir
