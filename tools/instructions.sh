#!/usr/bin/env bash
# Counts the instructions of the inner loops (benches/instructions.rs) per element with callgrind, and compares them
# with tools/instructions.txt: a regression shows without timing. Exits with 1 where a loop takes over 3 % more.
# Usage: tools/instructions.sh [--record], which writes the file anew
# Installs valgrind with apt-get where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
expected=tools/instructions.txt
tolerance=0.03
if ! command -v valgrind >/dev/null; then
    apt-get update -qq && apt-get install -y -qq valgrind
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo bench --locked --no-default-features --bench instructions --no-run --message-format=json >"$folder/built" 2>"$folder/errors" ||
    { cat "$folder/errors" >&2; exit 1; }
program=$(sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' "$folder/built" | tail -n 1)
valgrind --tool=callgrind --callgrind-out-file="$folder/counts" "$program" >"$folder/elements" 2>"$folder/errors" ||
    { cat "$folder/errors" >&2; exit 1; }
# By the engine, NAME ROWS NONZEROS BLOCK: what six epochs take more than one. One thread evaluates, as those that wait would count.
all() {
    RAYON_NUM_THREADS=1 valgrind --tool=callgrind --callgrind-out-file="$folder/all" "$program" "$@" >"$folder/nonzeros" 2>"$folder/errors" ||
        { cat "$folder/errors" >&2; exit 1; }
    sed -n 's/^totals: *//p' "$folder/all"
}
engine() {
    awk -v name="$1" -v count=$(($(all "$2" "$3" "$4" 6) - $(all "$2" "$3" "$4" 1))) -v n=$((5 * $(cat "$folder/nonzeros"))) 'BEGIN { printf "%s %.3f\n", name, count / n }'
}
callgrind_annotate --auto=no --inclusive=yes --threshold=100 --show-percs=no "$folder/counts" >"$folder/annotated"
{
    head -n 1 "$folder/elements"
    tail -n +2 "$folder/elements" | while read -r name elements; do
        count=$(sed -n "s/^ *\([0-9,]*\) .*instructions.rs:instructions::$name .*/\1/p" "$folder/annotated" | head -n 1 | tr -d ,)
        [ -n "$count" ] || { echo "$name: no such function in the profile" >&2; exit 1; }
        awk -v name="$name" -v count="$count" -v n="$elements" 'BEGIN { printf "%s %.3f\n", name, count / n }'
    done
    engine engine_direct 1000 75 1
    engine engine_block 1000 75 128
    engine engine_private 8000 75 8000
    engine engine_short 8000 13 8000
} >"$folder/found"
if [ "${1:-}" = --record ]; then
    cp "$folder/found" "$expected"
    cat "$expected"
    exit
fi
if [ "$(head -n 1 "$folder/found")" != "$(head -n 1 "$expected")" ]; then
    echo "$(head -n 1 "$folder/found") here, $(head -n 1 "$expected") in $expected: nothing to compare" >&2
    exit 2
fi
printf '%-16s %12s %12s %8s\n' "per element" expected found change
join -a 1 -a 2 -e 0 -o 0,1.2,2.2 <(tail -n +2 "$expected" | sort) <(tail -n +2 "$folder/found" | sort) | awk -v tolerance=$tolerance '
    $2 == 0 || $3 == 0 { bad++; print $1 ": not in both: record anew"; next }
    { change = $3 / $2 - 1; worse = change > tolerance; bad += worse
      printf "%-16s %12.3f %12.3f %+7.1f %%%s\n", $1, $2, $3, 100 * change, worse ? "  more instructions" : "" }
    END { exit bad > 0 }'
