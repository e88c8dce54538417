opt init-constant.ir
