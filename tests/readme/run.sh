#!/usr/bin/env bash
# What the Markdown pages show is what rnc does; README.md beside this file says how blocks are marked.
#   tests/readme/run.sh                      all pages
#   tests/readme/run.sh [PAGE.md…] [WORD…]   these pages, or those blocks that contain a WORD
# BLESS=1 writes what was printed into the blocks that differ; BLESS=all into every block, times and all. Read the diff.
cd "$(dirname "$0")/../.." || exit 2
export RNC=${RNC:-build/rnc}
if [ $# = 0 ] && [ -z "${BLESS:-}" ]; then python3 -B tests/readme/faults.py || exit 1; fi
exec python3 -B tests/readme/run.py "$@"
