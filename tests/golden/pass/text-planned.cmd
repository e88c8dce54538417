opt text-planned.ir
