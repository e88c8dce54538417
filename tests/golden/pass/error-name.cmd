opt error-name.ir
