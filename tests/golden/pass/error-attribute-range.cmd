opt error-attribute-range.ir
