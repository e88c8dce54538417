#!/usr/bin/env bash
# Whose conventions a spec has: versions of the language, frameworks, and single attributes.
exec "$(dirname "$0")/../commands.sh" tests/golden/convention "$@"
