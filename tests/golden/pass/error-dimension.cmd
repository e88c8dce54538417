opt error-dimension.ir
