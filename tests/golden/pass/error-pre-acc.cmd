opt --passes= error-pre-acc.ir
