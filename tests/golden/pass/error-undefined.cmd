opt error-undefined.ir
