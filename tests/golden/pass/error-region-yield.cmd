opt error-region-yield.ir
