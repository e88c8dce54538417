opt error-body-acc.ir
