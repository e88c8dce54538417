opt error-region-read-index.ir
