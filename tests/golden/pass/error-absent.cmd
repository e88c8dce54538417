opt error-absent.ir
