#!/usr/bin/env bash
# Fuzzes the readers, one after the other, with coverage, AddressSanitizer and overflow checks, on the stable toolchain.
# What is found stands in tools/fuzz/found, and the run goes on with the next target; new inputs go to
# tools/fuzz/corpus, as few and as short as reach the same code.
# Usage: tools/fuzz.sh [seconds a target (600)] [target …]
set -euo pipefail
cd "$(dirname "$0")/fuzz"
seconds="${1:-600}"
shift || true
export RUSTC_BOOTSTRAP=1
target=x86_64-unknown-linux-gnu
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address" \
    cargo build --release --locked --target "$target" --target-dir ../../target/fuzz
program="../../target/fuzz/$target/release/asyncsgd-fuzz"
if [ $# -eq 0 ]; then
    set -- $(sed -n 's/^    ("\(.*\)", .*),$/\1/p' src/targets.rs)
fi
work="$(mktemp -d /dev/shm/asyncsgd-fuzz.XXXXXX)"
trap 'rm -rf "$work"' EXIT
export RAYON_NUM_THREADS=1 TMPDIR="$work"
# Leaks are not looked for: the folder and the targets' data live as long as the process.
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"
found=0
for name; do
    mkdir -p "corpus/$name" "$work/$name" "found/$name"
    export TARGET="$name"
    echo "== $name"
    status=0
    "$program" "$work/$name" "corpus/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 \
        -malloc_limit_mb=1000 -max_len=2048 -artifact_prefix="found/$name/" -print_final_stats=1 -verbosity=1 \
        > "$work/log" 2>&1 || status=$?
    grep -E "stat::number_of_executed_units|SUMMARY|panicked|^ *cov:" "$work/log" || true
    grep -E "^#[0-9]+.*(DONE|INITED)" "$work/log" || true
    if [ $status -ne 0 ]; then
        found=$((found + 1))
        cp "$work/log" "found/$name/log"
        tail -5 "$work/log"
    else
        rmdir --ignore-fail-on-non-empty "found/$name"
        mkdir "$work/few"
        if "$program" -merge=1 -max_len=2048 "$work/few" "corpus/$name" "$work/$name" > /dev/null 2>&1 &&
            [ -n "$(ls "$work/few")" ]; then
            rm -rf "corpus/$name"
            mv "$work/few" "corpus/$name"
        else
            echo "$name: new inputs could not be merged into the corpus" >&2
            found=$((found + 1))
        fi
        rm -rf "$work/few"
    fi
done
echo "$found of $# targets with a finding"
[ $# -gt 0 ] && [ "$found" -eq 0 ]
