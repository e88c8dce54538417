opt error-body-family.ir
