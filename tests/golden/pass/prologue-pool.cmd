opt --passes=prologue --report prologue-pool.ir
