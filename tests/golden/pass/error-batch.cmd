opt error-batch.ir
