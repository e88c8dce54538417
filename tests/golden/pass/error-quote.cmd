opt error-quote.ir
