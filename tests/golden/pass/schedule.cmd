opt --passes=schedule --report schedule.ir
