opt verify-winograd-pairs.ir
