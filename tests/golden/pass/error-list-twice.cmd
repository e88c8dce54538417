opt error-list-twice.ir
