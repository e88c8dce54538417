opt --passes=simplify pre.ir
