opt error-shape-rule.ir
