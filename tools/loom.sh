#!/usr/bin/env bash
# Explores the interleavings of the clock, the updates, blocks and the delay recorder with loom.
# Usage: tools/loom.sh [name of a model]
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom"
# Optimised, as a model runs up to a million times; in a directory of its own, as all is built anew.
export CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_PROFILE_DEV_DEBUG=0
run() { cargo test --locked --no-default-features --target-dir target/loom "$@"; }
run --lib --no-run
run --test loom --no-run
models() { run "$@" -- --list | grep -c ': test$' || true; }
inside="$(models --lib "${1:-models::}")" outside="$(models --test loom "${1:-}")"
if [ $# -eq 0 ]; then least=1; else least=0; fi
[ "$inside" -ge $least ] && [ "$outside" -ge $least ] && [ $((inside + outside)) -gt 0 ] || {
    echo "found $inside models in src and $outside in tests, expected some" >&2
    exit 1
}
run --lib "${1:-models::}"
run --test loom "${1:-}"
