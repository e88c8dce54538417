opt error-arity.ir
