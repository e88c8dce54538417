opt --passes=concat,autodiff region.ir
