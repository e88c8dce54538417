#!/usr/bin/env bash
# Numbers: sums of any length, what verify takes for wrong, what bench counts.
exec "$(dirname "$0")/../commands.sh" tests/golden/number "$@"
