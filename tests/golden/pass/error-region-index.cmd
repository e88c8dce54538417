opt error-region-index.ir
