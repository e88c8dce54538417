opt error-region-read-deep.ir
