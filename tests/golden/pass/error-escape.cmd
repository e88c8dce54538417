opt error-escape.ir
