opt error-region-type.ir
