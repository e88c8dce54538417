opt --passes=fuse nowhere.ir
