opt error-layout-weight.ir
