#!/usr/bin/env bash
# 8 workers with stragglers, snapshots at 100 Hz, a checkpoint a second, stops and resumes: updates counted must equal
# updates applied, memory stay flat, nothing be left open.
# Usage: tools/soak.sh [seconds (1800)]
set -eu
cd "$(dirname "$0")/.."
cargo run --release --locked --example soak -- "${1:-1800}"
