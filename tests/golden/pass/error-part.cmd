opt error-part.ir
