opt verify-alias-offset.ir
