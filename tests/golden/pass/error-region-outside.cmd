opt error-region-outside.ir
