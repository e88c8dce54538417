opt error-batch-place.ir
