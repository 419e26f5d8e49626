#!/bin/sh
# Opens a run's page in headless Chromium: every chart must be there, tell values when pointed at, zoom and unzoom, with
# no error on the console.
# usage: tools/check_report.sh REPORT.html [SCREENSHOT.png [light|dark|narrow|print]]
# Needs chromium (Debian: apt-get install chromium) and, for print, pdftoppm (poppler-utils).
set -eu
report=$(realpath "$1")
shot=${2:-}
look=${3:-light}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scheme=1 size=1280,2600
[ "$look" = dark ] && scheme=0
[ "$look" = narrow ] && size=500,4200

# browser PAGE OPTION…
browser() {
    page=$1
    shift
    chromium --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --enable-logging=stderr \
        --hide-scrollbars --blink-settings=preferredColorScheme=$scheme --window-size=$size \
        --virtual-time-budget=8000 "$@" "file://$page" 2>>"$folder/log"
}

# The page with a hand on the mouse: points at each chart, drags across it, and clicks twice.
cat >"$folder/hand.html" <<'HAND'
<script>
addEventListener("load", async () => {
  const told = { values: 0, zoomed: 0, unzoomed: 0 };
  const frame = () => new Promise(done => setTimeout(done, 30));
  for (const chart of document.querySelectorAll(".chart")) {
    const over = chart.querySelector(".u-over"), box = over.getBoundingClientRect();
    const mouse = (type, share, target = over) => target.dispatchEvent(new MouseEvent(type, { bubbles: true, button: 0, movementX: 9,
      view: window, clientX: box.left + share * box.width, clientY: box.top + box.height / 2 }));
    const picture = () => chart.querySelector("canvas").toDataURL();
    mouse("mouseenter", .5);
    for (let share = .02; share < 1; share += .02) {
      mouse("mousemove", share);
      await frame();
      const values = [...chart.querySelectorAll(".u-value")].slice(1);
      if (values.some(value => !["", "–", "--"].includes(value.textContent))) { told.values++; break; }
    }
    const before = picture();
    mouse("mousedown", .3); mouse("mousemove", .5); mouse("mousemove", .7); await frame();
    mouse("mouseup", .7, document); await frame();
    if (picture() !== before) told.zoomed++;
    mouse("dblclick", .5); await frame();
    if (picture() === before) told.unzoomed++;
  }
  document.documentElement.dataset.hand = JSON.stringify(told);
});
</script>
HAND
cat "$report" "$folder/hand.html" >"$folder/page.html"
browser "$folder/page.html" --dump-dom >"$folder/dom.html"
status=0
for id in delay-histogram delay-percentiles delays-over-time staleness-over-time throughput step-weights \
    staleness-histogram objective-time objective-epochs; do
    grep -q "id=\"$id\"" "$folder/dom.html" || { echo "missing: chart $id"; status=1; }
done
charts=$(grep -o 'class="u-wrap"' "$folder/dom.html" | wc -l)
[ "$charts" -eq 9 ] || { echo "drawn: $charts charts, expected 9"; status=1; }
hand=$(grep -o 'data-hand="[^"]*"' "$folder/dom.html" | sed 's/&quot;/"/g; s/^data-hand=.//; s/.$//')
expected="{\"values\":$charts,\"zoomed\":$charts,\"unzoomed\":$charts}"
[ "$hand" = "$expected" ] || { echo "by hand: $hand, expected $expected"; status=1; }
for title in "Delays in iterations" "Where the time goes" Plan Machine; do
    grep -q "<h2>$title</h2>" "$folder/dom.html" || { echo "missing: table $title"; status=1; }
done
if grep -E 'CONSOLE.*(rror|arning)|Uncaught' "$folder/log"; then status=1; fi
if grep -oE '(src|href)="https?:[^"]*"' "$report" | grep -v 'href="https://github.com/leeoniya/uPlot"'; then
    echo "the page refers to the network"; status=1
fi
bytes=$(stat -c %s "$report")
[ "$bytes" -lt 3000000 ] || { echo "the page has $bytes bytes, more than 3 MB"; status=1; }
if [ -n "$shot" ] && [ "$look" = print ]; then
    browser "$report" --no-pdf-header-footer --print-to-pdf="$folder/page.pdf" >/dev/null
    pdftoppm -r 60 -png "$folder/page.pdf" "${shot%.png}"
elif [ -n "$shot" ]; then
    browser "$report" --screenshot="$(realpath "$shot")" >/dev/null
fi
echo "$charts charts, by hand $hand, $bytes bytes"
exit $status
