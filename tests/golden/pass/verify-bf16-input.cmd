opt verify-bf16-input.ir
