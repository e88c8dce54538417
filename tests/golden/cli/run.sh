#!/usr/bin/env bash
# The command line: options, messages, exit statuses.
exec "$(dirname "$0")/../commands.sh" tests/golden/cli "$@"
