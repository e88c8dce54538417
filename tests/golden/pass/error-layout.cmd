opt error-layout.ir
