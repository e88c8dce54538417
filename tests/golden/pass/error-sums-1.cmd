opt error-sums-1.ir
