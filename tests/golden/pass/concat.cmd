opt --passes=concat --cpu=x86-64-v4 --report concat.ir
