opt error-huge.ir
