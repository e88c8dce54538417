opt error-bf16-rank.ir
