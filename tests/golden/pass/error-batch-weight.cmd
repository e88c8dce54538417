opt error-batch-weight.ir
