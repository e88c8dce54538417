opt --passes=plan pass-order.ir
