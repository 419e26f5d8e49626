#!/usr/bin/env bash
# Kills training at random moments, 500 times or as often as told, and goes on from the last checkpoint each time: none
# may be lost, and the end must be that of a run that was never killed.
set -eu
cd "$(dirname "$0")/.."
ASYNCSGD_KILLS="${1:-500}" ASYNCSGD_KILL_SEED="${2:-$RANDOM}" \
    cargo test --release --locked --test cli_checkpoint -- --exact kills_never_lose_the_last_checkpoint --nocapture |
    tee >(cat >&2) | grep "^test result: ok. 1 passed" > /dev/null
