opt verify-end.ir
