opt --passes=recompute recompute.ir
