opt error-body-on-pool.ir
