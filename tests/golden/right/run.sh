#!/usr/bin/env bash
# What public reports about tools of this kind led to, and what rnc has right: it stays so.
exec "$(dirname "$0")/../commands.sh" tests/golden/right "$@"
