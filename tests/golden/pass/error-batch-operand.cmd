opt error-batch-operand.ir
