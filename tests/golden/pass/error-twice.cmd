opt error-twice.ir
