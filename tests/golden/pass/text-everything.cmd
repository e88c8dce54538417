opt text-everything.ir
