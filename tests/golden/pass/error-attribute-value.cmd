opt error-attribute-value.ir
