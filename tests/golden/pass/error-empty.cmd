opt error-empty.ir
