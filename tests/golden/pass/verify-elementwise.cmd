opt verify-elementwise.ir
