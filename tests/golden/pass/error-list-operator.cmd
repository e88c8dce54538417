opt error-list-operator.ir
