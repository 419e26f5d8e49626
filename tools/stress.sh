#!/usr/bin/env bash
# Many short runs with up to 16 workers a core, pinned and not, and workers of one's own that come, go and panic.
# Usage: tools/stress.sh [seconds (120)] [profile (release)]
set -eu
cd "$(dirname "$0")/.."
cargo run --profile "${2:-release}" --locked --example soak -- stress "${1:-120}"
