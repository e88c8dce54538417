opt --passes= error-pre-operator.ir
