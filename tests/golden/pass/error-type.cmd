opt error-type.ir
