opt error-body-order.ir
