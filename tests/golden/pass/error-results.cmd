opt error-results.ir
