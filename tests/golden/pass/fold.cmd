opt --passes=fold --report fold.ir
