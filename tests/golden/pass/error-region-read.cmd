opt error-region-read.ir
