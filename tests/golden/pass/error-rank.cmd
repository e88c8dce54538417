opt error-rank.ir
