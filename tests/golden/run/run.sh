#!/usr/bin/env bash
# The folder of a run: what is in it, what takes it, that it is neither destroyed nor mixed; resuming; the terminal.
exec "$(dirname "$0")/../commands.sh" tests/golden/run "$@"
