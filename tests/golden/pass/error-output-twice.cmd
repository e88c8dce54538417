opt error-output-twice.ir
