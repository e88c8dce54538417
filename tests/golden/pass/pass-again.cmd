opt --passes=layout,fuse pass-again.ir
