opt error-operator.ir
