#!/usr/bin/env bash
# Runs the tests that share parameters between threads under ThreadSanitizer, on the stable toolchain.
# The standard library is not instrumented, so that src/sync.rs takes other locks; and ThreadSanitizer knows no fences.
# What it reports for that is suppressed by tools/tsan.txt, each line with its reason.
# Usage: tools/tsan.sh [arguments of cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
export TSAN_OPTIONS="suppressions=$PWD/tools/tsan.txt halt_on_error=0 exitcode=66"
if [ $# -eq 0 ]; then
    set -- --test params_modes --test engine --test delay_live --test own_threads --test streams
fi
cargo test --locked --no-default-features --target x86_64-unknown-linux-gnu --target-dir target/tsan "$@" | tee target/tsan.out
grep -q "^test result: ok. [1-9]" target/tsan.out || { echo "no test ran" >&2; exit 1; }
