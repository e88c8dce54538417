#!/usr/bin/env bash
# What is refused: values out of range, files too large, names that are none; and what that says.
exec "$(dirname "$0")/../commands.sh" tests/golden/bound "$@"
