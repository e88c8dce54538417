opt error-sums-2.ir
