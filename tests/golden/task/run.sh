#!/usr/bin/env bash
# What is measured: losses, metrics, predictions.
exec "$(dirname "$0")/../commands.sh" tests/golden/task "$@"
