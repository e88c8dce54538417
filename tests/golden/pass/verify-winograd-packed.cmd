opt verify-winograd-packed.ir
