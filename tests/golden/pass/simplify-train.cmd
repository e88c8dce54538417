opt --passes=autodiff,simplify --report simplify-train.ir
