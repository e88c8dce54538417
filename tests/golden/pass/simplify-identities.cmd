opt --passes=simplify --report simplify-identities.ir
