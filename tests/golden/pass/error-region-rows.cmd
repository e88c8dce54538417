opt error-region-rows.ir
