opt error-body-operand.ir
