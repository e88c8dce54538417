opt error-part-size.ir
