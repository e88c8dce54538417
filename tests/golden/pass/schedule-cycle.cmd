opt --passes=schedule schedule-cycle.ir
