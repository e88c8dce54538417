opt verify-no-place.ir
