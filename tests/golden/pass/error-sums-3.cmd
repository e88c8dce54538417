opt error-sums-3.ir
