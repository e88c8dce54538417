opt verify-weight.ir
