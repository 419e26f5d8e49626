#!/usr/bin/env bash
# Small runs of each kind under valgrind's memcheck: no invalid access, no use of what was never written, nothing lost.
# Usage: tools/valgrind.sh [PROGRAM]; without it the release build is taken, and made if need be.
set -eu
cd "$(dirname "$0")/.."
program="${1:-}"
if [ -z "$program" ]; then
    cargo build --release --locked
    program="$PWD/target/release/asyncsgd"
fi
program="$(realpath "$program")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
check() {
    echo "== $*"
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --fair-sched=yes \
        "$program" "$@" > out 2>&1 || { tail -40 out; exit 1; }
}
check data generate --like rcv1 --rows 300 data.svm
printf 'ann,tea,5\nann,milk,1\nbob,tea,4\nbob,rum,2\ncy,rum,5\ncy,milk,3\n' > ratings.csv
check train data.svm --workers 2 --epochs 2 --block 1 --cache none --save model.safetensors
check train data.svm --workers 3 --epochs 2 --block 16 --update racy --cache none
check train data.svm --workers 2 --target-gap 1e-2 --cache cache
check train data.svm --workers 2 --epochs 2 --checkpoint run.ckpt --checkpoint-every 1 --cache cache
check train --resume run.ckpt
check train data.svm --workers 2 --epochs 1 --model mlp:47236-4-2 --update leashed --cache none
check train ratings.csv --workers 2 --epochs 2 --model mf:4
check predict --model model.safetensors data.svm
check simulate --workers 20 --quadratic 10 --iterations 500
echo "nothing found"
