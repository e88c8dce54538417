#!/usr/bin/env bash
# Data and images: what images go through, classes by name, parts of data, normalisation.
exec "$(dirname "$0")/../commands.sh" tests/golden/data "$@"
