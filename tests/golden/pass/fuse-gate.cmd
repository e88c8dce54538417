opt --passes=fuse --report fuse-gate.ir
