opt error-update-type.ir
