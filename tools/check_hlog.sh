#!/bin/sh
# Profiles a run and reads its .hlog and .hgrm with an independent implementation, PyPI's hdrhistogram.
# usage: tools/check_hlog.sh [PROGRAM]
set -eu
here=$(dirname "$0")
program=${1:-target/debug/asyncsgd}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check hdrhistogram==0.10.8
"$program" profile --workers 3 --epochs 3 --block 1 --slow 0:20 --quiet --profile "$folder/run"
"$folder/python/bin/python" "$here/check_hlog.py" "$folder/run"
