#!/usr/bin/env bash
# Compares asyncsgd with scikit-learn, LIBLINEAR, Vowpal Wabbit and xLearn (where it can be built) on the same data,
# interleaved: time to a gap, throughput, load speed, peak memory. Everything that is installed goes to target/compare,
# LIBLINEAR's program comes from apt-get where it is missing and that is allowed.
# With --optimum: `train DATA --target-gap G` and nothing else, beside what the peers need to get there.
# Usage: tools/compare/compare.sh [--optimum] [DATA…] [--repeats N]; LIBSVM text, without it the embedded flights
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/compare script=compare.py
[ "${1:-}" != --optimum ] || { shift; script=optimum.py; }
mkdir -p "$folder"
cargo build --locked --release
[ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip scikit-learn liblinear-official vowpalwabbit 'cmake<4' setuptools wheel
"$folder/venv/bin/python" -c 'import xlearn' 2>/dev/null || PATH="$PWD/$folder/venv/bin:$PATH" pip xlearn >/dev/null 2>&1 ||
    echo "xLearn cannot be built here: left out" >&2
command -v liblinear-train >/dev/null ||
    { apt-get update -qq && apt-get install -y -qq liblinear-tools; } >/dev/null 2>&1 ||
    echo "LIBLINEAR's program cannot be installed: no figures of its loading" >&2
if [ $# -eq 0 ] || [ "${1#--}" != "$1" ]; then
    target/release/asyncsgd data convert src/data/embedded/flights.xz "$folder/flights"
    set -- "$folder/flights" "$@"
fi
exec "$folder/venv/bin/python" "tools/compare/$script" --folder "$folder" "$@"
