#!/usr/bin/env bash
# Checks that the library and the program build with the oldest versions that Cargo.toml allows for its own dependencies.
set -eu
cd "$(dirname "$0")/.."
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git ls-files -z Cargo.toml src README.md benches tests tools/examples tools/*.rs | xargs -0 cp --parents -t "$copy"
cd "$copy"
RUSTC_BOOTSTRAP=1 cargo update -Zdirect-minimal-versions
cargo check --target-dir "$OLDPWD/target/minimal"
