#!/bin/sh
# Opens a run's page in headless Chromium: every chart must be there, with no error on the console.
# usage: tools/check_report.sh REPORT.html [SCREENSHOT.png [light|dark]]
# Needs chromium (Debian: apt-get install chromium).
set -eu
report=$(realpath "$1")
shot=${2:-}
theme=${3:-light}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dark=0
[ "$theme" = dark ] && dark=1

browser() {
    chromium --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --enable-logging=stderr \
        --blink-settings=preferredColorScheme=$((1 - dark)) --window-size=1280,2600 --virtual-time-budget=8000 "$@" \
        "file://$report" 2>>"$folder/log"
}

browser --dump-dom >"$folder/dom.html"
status=0
for id in delay-histogram delay-percentiles delays-over-time staleness-over-time throughput step-weights \
    staleness-histogram objective-time objective-epochs; do
    grep -q "id=\"$id\"" "$folder/dom.html" || { echo "missing: chart $id"; status=1; }
done
charts=$(grep -o 'class="u-wrap"' "$folder/dom.html" | wc -l)
[ "$charts" -eq 9 ] || { echo "drawn: $charts charts, expected 9"; status=1; }
for title in "Delays in iterations" "Where the time goes" Plan Machine; do
    grep -q "<h2>$title</h2>" "$folder/dom.html" || { echo "missing: table $title"; status=1; }
done
if grep -E 'CONSOLE.*(rror|arning)|Uncaught' "$folder/log"; then status=1; fi
if grep -qE '(src|href)="https?:' "$report" && ! grep -qE 'href="https://github.com/leeoniya/uPlot"' "$report"; then
    echo "the page refers to the network"; status=1
fi
size=$(stat -c %s "$report")
[ "$size" -lt 3000000 ] || { echo "the page has $size bytes, more than 3 MB"; status=1; }
if [ -n "$shot" ]; then browser --screenshot="$(realpath "$shot")" >/dev/null; fi
echo "charts: $charts, $size bytes"
exit $status
