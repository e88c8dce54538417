#!/usr/bin/env bash
# What README.md shows is what rnc does: tests/readme/run.sh [WORD] runs its console blocks (those with a command that
# contains WORD) and
# compares. BLESS=1 puts what was printed into the blocks that differ; BLESS=all into every block, times and all. Then
# read the diff.
cd "$(dirname "$0")/../.." || exit 2
RNC=${RNC:-build/rnc} exec python3 -B tests/readme/run.py "$@"
