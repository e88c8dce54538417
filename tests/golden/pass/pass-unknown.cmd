opt --passes=simplify,fusee pass-unknown.ir
