opt error-region-end.ir
