opt error-stage.ir
