opt --passes= pre.ir
