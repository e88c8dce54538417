# The schema refuses what check refuses, and takes what check takes.
python3 $here/schema.py $rnc
