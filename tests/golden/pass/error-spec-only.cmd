opt error-spec-only.ir
