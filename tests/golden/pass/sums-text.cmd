opt sums-text.ir
