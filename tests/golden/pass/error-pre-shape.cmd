opt --passes= error-pre-shape.ir
