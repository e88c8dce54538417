opt error-body-operands.ir
