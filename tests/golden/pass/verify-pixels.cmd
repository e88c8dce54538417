opt --passes=workspace verify-pixels.ir
