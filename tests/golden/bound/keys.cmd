rnc=$(realpath $rnc) python3 tests/golden/bound/keys.py $tmp
