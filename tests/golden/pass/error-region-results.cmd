opt error-region-results.ir
