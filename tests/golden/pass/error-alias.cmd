opt error-alias.ir
