opt error-batch-old.ir
