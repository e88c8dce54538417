opt --passes=layout pre.ir
