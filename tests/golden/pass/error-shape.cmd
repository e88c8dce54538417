opt error-shape.ir
