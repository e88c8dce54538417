opt error-region-name.ir
