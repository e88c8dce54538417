opt error-batch-body.ir
