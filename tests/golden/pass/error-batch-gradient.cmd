opt error-batch-gradient.ir
