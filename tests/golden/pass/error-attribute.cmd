opt error-attribute.ir
