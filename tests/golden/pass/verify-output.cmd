opt verify-output.ir
