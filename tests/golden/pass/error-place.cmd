opt error-place.ir
