#!/usr/bin/env bash
# Targets: their types, their sizes, what data give them, and what check refuses of them.
exec "$(dirname "$0")/../commands.sh" tests/golden/target "$@"
