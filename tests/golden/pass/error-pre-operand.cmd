opt --passes= error-pre-operand.ir
