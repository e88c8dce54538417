opt error-list-layout.ir
