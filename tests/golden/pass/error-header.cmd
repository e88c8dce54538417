opt error-header.ir
