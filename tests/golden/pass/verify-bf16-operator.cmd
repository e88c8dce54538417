opt verify-bf16-operator.ir
