#!/usr/bin/env bash
# Runs all examples; each checks what it says. With --release at full speed.
set -eu
cd "$(dirname "$0")/.."
for example in own_objective own_threads live stream profile simulation; do
    echo "== $example"
    cargo run --quiet --locked "$@" --example "$example"
done
