opt error-statement.ir
