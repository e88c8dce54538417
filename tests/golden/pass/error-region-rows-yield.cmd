opt error-region-rows-yield.ir
