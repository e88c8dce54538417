opt --passes=layout,workspace,schedule,plan --cpu x86-64-v4 precision-layout.ir
