opt error-region-statement.ir
