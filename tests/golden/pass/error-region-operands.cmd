opt error-region-operands.ir
