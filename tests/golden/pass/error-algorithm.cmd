opt error-algorithm.ir
