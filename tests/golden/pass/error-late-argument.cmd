opt error-late-argument.ir
