#!/usr/bin/env bash
# What a program meets outside the laboratory: full disks, read-only folders, files that are cut while they are read,
# too little memory, a clock that jumps, signals, pipes that close. Each case has to end with a clear message and the
# right exit code, and with nothing overwritten. Cases that need root or a tool that is not there are told as skipped.
# Usage: tools/faults.sh [PROGRAM]; without it the release build is taken, and made if need be.
set -u
cd "$(dirname "$0")/.."
program="${1:-}"
if [ -z "$program" ]; then
    cargo build --release --locked || exit 1
    program="$PWD/target/release/asyncsgd"
fi
program="$(realpath "$program")"
work="$(mktemp -d)"
mounted=()
cleanup() {
    for folder in "${mounted[@]}"; do umount "$folder"; done
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
export XDG_CACHE_HOME="$work/cache"
passed=0 failed=0 skipped=0

# expect NAME CODE TEXT COMMAND…: the exit code, and a text in what it prints.
expect() {
    local name="$1" code="$2" text="$3"
    shift 3
    "$@" > out 2>&1 < /dev/null
    local status=$?
    if [ $status -eq "$code" ] && grep -q -- "$text" out; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "WRONG $name: exit code $status, expected $code with '$text':"
        tail -5 out
    fi
}
# holds NAME COMMAND…
holds() {
    local name="$1"
    shift
    if "$@"; then passed=$((passed + 1)) && echo "ok    $name"; else failed=$((failed + 1)) && echo "WRONG $name"; fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skip  $1: $2"
}

"$program" data generate --like rcv1 --rows 20000 data.svm > out 2>&1 || { cat out; exit 1; }
head -2000 data.svm > small.svm
"$program" train small.svm --epochs 1 --quiet --save good.safetensors || exit 1

mkdir full fixed
if mount -t tmpfs -o size=600k none full 2> /dev/null; then
    mounted+=("$PWD/full")
    cp good.safetensors full/
    head -c 350000 /dev/zero > full/rest
    cp full/good.safetensors before
    expect "full disk: a model" 1 "cannot write" "$program" train small.svm --epochs 1 --save full/good.safetensors
    holds "full disk: the old model stays" cmp -s before full/good.safetensors
    expect "full disk: checkpoints" 0 "not written" "$program" train small.svm --epochs 30 --checkpoint full/run.ckpt --checkpoint-every 1
    expect "full disk: the cache" 0 "all 1 epochs" "$program" train data.svm --epochs 1 --cache full/cache
    holds "full disk: no temporary file is left" test "$(ls full | wc -l)" -le 3
    mount -t tmpfs none fixed && mounted+=("$PWD/fixed")
    cp good.safetensors fixed/ && mount -o remount,ro fixed
    expect "read-only folder: told before training" 1 "fixed" "$program" train small.svm --epochs 1 --save fixed/new.safetensors
    expect "read-only folder: checkpoints" 1 "fixed" "$program" train small.svm --checkpoint fixed/run.ckpt
    expect "read-only folder: a cache is no need" 0 "all 1 epochs" "$program" train data.svm --epochs 1 --cache fixed/cache
else
    skip "full and read-only disks" "no right to mount"
fi
expect "full device" 1 "No space left" "$program" predict --model good.safetensors small.svm --output /dev/full
expect "no folder" 1 "nowhere" "$program" train small.svm --save nowhere/model.safetensors
limit() { (ulimit -f 100; exec "$@"); }
expect "limit on files" 1 "cannot write" limit "$program" train small.svm --epochs 1 --cache none --save big.safetensors
holds "limit on files: nothing is left" test ! -e big.safetensors

# Cut while it is read: the rows, or a message; never a signal.
wrong=0 seen=""
for turn in $(seq 12); do
    cp data.svm cut.svm
    "$program" data info cut.svm > out 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 10))"
    truncate -s $((RANDOM * 500)) cut.svm
    wait $pid
    status=$?
    seen="$seen $status"
    [ $status -le 2 ] || wrong=$((wrong + 1))
done
holds "a file cut while it is read (exit codes$seen)" test $wrong -eq 0
"$program" train data.svm --epochs 1 --quiet --cache cache
entry="$(ls cache/* | head -1)"
cp "$entry" entry
wrong=0 seen="" damaged=0
for turn in $(seq 12); do
    cp entry "$entry"
    "$program" train data.svm --epochs 1 --quiet --cache cache > out 2>&1 &
    pid=$!
    sleep "0.00$((RANDOM % 10))"
    truncate -s $((RANDOM * 300)) "$entry"
    wait $pid
    status=$?
    seen="$seen $status"
    [ $status -eq 0 ] || wrong=$((wrong + 1))
    ! grep -q damaged out || damaged=$((damaged + 1))
done
holds "a cache entry cut while it is read (exit codes$seen; $damaged times noticed)" test $wrong -eq 0 -a $damaged -gt 0

printf '1 268435456:1\n-1 1:1\n' > wide.svm
limited() { (ulimit -v "$1"; shift; exec "$@"); }
expect "memory: features" 2 "iB are available" limited 3000000 "$program" train wide.svm --cache none
expect "memory: a network" 2 "iB are available" limited 4000000 "$program" train small.svm --model mlp:47236-20000-2
expect "memory: the simulator" 2 "iB are available" "$program" simulate --workers 1000000 --quadratic 1000000000
expect "memory: the order of chunks" 2 "iB are available" limited 4000000 "$program" profile small.svm --epochs 4e9 --evaluate-every 4000000000
awk 'BEGIN { print "y,a,b,c,d,e,f,g,h"; for (i = 0; i < 1400000; i++) print i % 2 ",1,2,3,4,5,6,7,8" }' > table.csv
awk 'BEGIN { for (i = 0; i < 3000000; i++) print i % 20011 "," i % 5003 "," i % 5 + 1 }' > ratings.csv
awk 'BEGIN { for (i = 0; i < 12000000; i++) print "word" i % 1009, "other" i % 503 }' > words.txt
awk 'BEGIN { for (i = 0; i < 8000000; i++) print i % 2, "1:1" }' | gzip -1 > rows.svm.gz
for case in "table.csv 200000 data info" "ratings.csv 200000 train --model mf:8" "words.txt 200000 train --model skipgram:8" "rows.svm.gz 400000 data info"; do
    read -r file limit words <<< "$case"
    expect "memory: $file" 2 "iB are available" limited $limit "$program" $words $file
done
rm -f table.csv ratings.csv words.txt rows.svm.gz

if command -v faketime > /dev/null; then
    expect "clock: years ahead" 0 "all 1 epochs" faketime '2090-01-01' "$program" train small.svm --epochs 1
    expect "clock: before 1970" 0 "all 1 epochs" faketime '1960-01-01' "$program" train small.svm --epochs 1
else
    skip "a wrong system clock" "no faketime; training time is of the monotonic clock, which cannot be set"
fi

# It sends the signal to the program and to its group, and what scripts start in the background ignores SIGINT.
for signal in INT TERM HUP; do
    rm -f stopped.safetensors
    timeout --preserve-status -s $signal 2 "$program" train data.svm --epochs 100000 --save stopped.safetensors > out 2>&1
    holds "SIG$signal: exit code 130 and the model saved" test $? -eq 130 -a -s stopped.safetensors
done
rm -f stopped.safetensors
(trap '' HUP; exec "$program" train data.svm --epochs 100000 --save stopped.safetensors) > out 2>&1 &
pid=$!
sleep 2
kill -HUP $pid
sleep 1
holds "SIGHUP is ignored under nohup" kill -TERM $pid
wait $pid
holds "and the model is saved at the end" test $? -eq 130 -a -s stopped.safetensors
"$program" train data.svm --epochs 3 2> err | head -c 10 > /dev/null
holds "a closed pipe" test "${PIPESTATUS[0]}" -le 1
"$program" predict --model good.safetensors small.svm 2> err | head -1 > /dev/null
holds "a closed pipe of predictions, without a panic" test "$(grep -c panicked err)" -eq 0
holds "a closed standard input, output and error" bash -c "$program train small.svm --epochs 1 <&- >&- 2>&-; test \$? -le 1"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
