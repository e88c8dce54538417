opt error-batch-param.ir
