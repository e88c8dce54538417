opt error-planned.ir
