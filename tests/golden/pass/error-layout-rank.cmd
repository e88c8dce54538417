opt error-layout-rank.ir
