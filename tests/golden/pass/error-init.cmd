opt error-init.ir
