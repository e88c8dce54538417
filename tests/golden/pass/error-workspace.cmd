opt --passes=layout,workspace --cpu=x86-64-v4 error-workspace.ir
