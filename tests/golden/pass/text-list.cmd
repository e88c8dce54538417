opt text-list.ir
