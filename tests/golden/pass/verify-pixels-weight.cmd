opt --passes=workspace verify-pixels-weight.ir
