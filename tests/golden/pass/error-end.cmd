opt error-end.ir
