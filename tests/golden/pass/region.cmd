opt region.ir
