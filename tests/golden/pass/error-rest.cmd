opt error-rest.ir
