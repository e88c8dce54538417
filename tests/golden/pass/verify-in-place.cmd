opt verify-in-place.ir
