#!/usr/bin/env bash
# Compares asyncsgd with LIBMF on ratings, with xLearn on rows of features, and with gensim and fastText on text,
# interleaved; quality is shown beside speed. Everything that is installed goes to target/compare.
# Usage: tools/compare/factors.sh ratings TRAIN TEST | machine TRAIN TEST | words TEXT QUESTIONS [--repeats N] [--epochs E]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/compare
mkdir -p "$folder"
cargo build --locked --release
[ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
have() { "$folder/venv/bin/python" -c "import $1" >/dev/null 2>&1; }
pip numpy 'cmake<4' setuptools wheel
case "${1:-}" in
ratings)
    # Its package is built without vector instructions unless told.
    have libmf || CFLAGS="-O3 -DNDEBUG -march=native -DUSEAVX -fopenmp" LDFLAGS=-fopenmp pip --no-binary :all: --no-deps libmf ;;
machine)
    have xlearn || PATH="$PWD/$folder/venv/bin:$PATH" pip xlearn >/dev/null 2>&1 || echo "xLearn cannot be built here: left out" >&2 ;;
words)
    pip gensim fasttext-wheel ;;
esac
exec "$folder/venv/bin/python" tools/compare/factors.py --folder "$folder" "$@"
