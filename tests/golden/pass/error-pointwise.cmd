opt error-pointwise.ir
