opt error-overflow.ir
