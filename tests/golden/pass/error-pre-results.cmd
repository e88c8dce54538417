opt --passes= error-pre-results.ir
