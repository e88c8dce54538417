#!/usr/bin/env bash
# Objects and their headers: names, files, what is in them.
exec "$(dirname "$0")/../commands.sh" tests/golden/object "$@"
