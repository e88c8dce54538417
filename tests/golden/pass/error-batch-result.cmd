opt error-batch-result.ir
