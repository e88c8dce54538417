opt --passes=vectorise pass-unknown-far.ir
