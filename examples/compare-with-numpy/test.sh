#!/bin/sh
# The python3 that has NumPy: Debian's, when another one comes first in PATH.
for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy' 2>/dev/null && exec "$python" "$(dirname "$0")/compare.py" "${RNC:-build/rnc}"
done
echo "no python3 with NumPy: apt-get install python3-numpy" >&2
exit 1
