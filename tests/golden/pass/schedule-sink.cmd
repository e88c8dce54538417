opt --passes=schedule --report schedule-sink.ir
