opt error-region-rows-index.ir
