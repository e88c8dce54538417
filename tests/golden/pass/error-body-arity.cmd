opt error-body-arity.ir
