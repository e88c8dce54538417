opt verify-overlap.ir
