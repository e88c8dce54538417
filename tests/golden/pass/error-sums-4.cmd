opt error-sums-4.ir
