opt error-body-shape.ir
