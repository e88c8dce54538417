opt error-batch-size.ir
