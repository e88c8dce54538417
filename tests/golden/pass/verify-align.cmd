opt verify-align.ir
