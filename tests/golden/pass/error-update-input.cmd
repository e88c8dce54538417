opt error-update-input.ir
