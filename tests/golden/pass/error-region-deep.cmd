opt error-region-deep.ir
