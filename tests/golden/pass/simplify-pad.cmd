opt --passes=simplify --report simplify-pad.ir
