#!/usr/bin/env bash
# Compares asyncsgd with LIBMF on ratings, with xLearn on rows of features and fields, with gensim and fastText on
# text, and with PyTorch's Hogwild on images, interleaved: seconds to equal quality. Everything that is installed
# goes to target/compare (PyTorch: some gigabytes).
# Usage: tools/compare/factors.sh ratings TRAIN TEST | machine TRAIN TEST | fields TRAIN TEST | words TEXT QUESTIONS
#        | network FOLDER [--repeats N] [--epochs E | --goal Q] [--only NAMES] [--program FILE]; see factors.py
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/compare
mkdir -p "$folder"
case "$*" in *--program*) ;; *) cargo build --locked --release ;; esac
[ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
have() { "$folder/venv/bin/python" -c "import importlib.util as u; exit(u.find_spec('$1') is None)"; }
have numpy || pip numpy 'cmake<4' setuptools wheel
case "${1:-}" in
ratings)
    # Its package is built without vector instructions unless told.
    have libmf || CFLAGS="-O3 -DNDEBUG -march=native -DUSEAVX -fopenmp" LDFLAGS=-fopenmp pip --no-binary :all: --no-deps libmf ;;
machine | fields)
    have xlearn || PATH="$PWD/$folder/venv/bin:$PATH" pip xlearn >/dev/null 2>&1 || echo "xLearn cannot be built here: left out" >&2 ;;
words)
    have gensim || pip gensim
    have fasttext || pip fasttext-wheel ;;
network)
    have torch || pip torch ;;
esac
exec "$folder/venv/bin/python" tools/compare/factors.py --folder "$folder" "$@"
