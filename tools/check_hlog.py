"""Reads .hlog and .hgrm files with PyPI's hdrhistogram and compares them with the CSV of the same profile.

usage: check_hlog.py DIR, a folder that asyncsgd wrote with --profile
"""

import csv
import json
import math
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

folder = pathlib.Path(sys.argv[1])
record = json.loads((folder / "profile.json").read_text())
largest = (1 << 40) - 1


def read(name):
    """The whole histogram of each tag of a log."""
    whole = {}
    reader = HistogramLogReader(str(folder / name), HdrHistogram(1, largest, 3))
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        whole.setdefault(tag, HdrHistogram(1, largest, 3)).add(interval)
    return whole


def same(what, ours, theirs, relative=0.0):
    if abs(ours - theirs) > relative * max(abs(ours), abs(theirs)):
        sys.exit(f"{what}: {ours} here, {theirs} by hdrhistogram")


def places(histogram, lowest, highest):
    """One value of each bucket of hdrhistogram between two values."""
    value = lowest
    while value <= highest or histogram.get_lowest_equivalent_value(value) <= highest:
        yield value
        value = histogram.get_highest_equivalent_value(value) + 1


def at(histogram, share):
    """The value at a share of the records; hdrhistogram rounds the rank, ours is the least that reaches it."""
    total, up_to = histogram.get_total_count(), 0
    rank = max(1, math.ceil(share * total * (1 - 1e-15)))
    for item in histogram.get_recorded_iterator():
        up_to += item.count_added_in_this_iter_step
        if up_to >= rank:
            break
    value = item.value_iterated_to
    around = [histogram.get_value_at_percentile(100 * (rank + d) / total) for d in (-1.01, 1.01)]
    if not around[0] <= value <= around[1]:
        sys.exit(f"hdrhistogram contradicts itself at {share}: {value} outside {around}")
    return value


csv_rows = {}
for row in csv.DictReader((folder / "delays.csv").open()):
    csv_rows.setdefault(row["name"], []).append((int(row["lowest"]), int(row["highest"]), int(row["count"])))

logs = read("delays.hlog")
compared = 0
for number, worker in enumerate(record["delay"]["workers"]):
    if worker["count"] == 0:
        continue
    histogram = logs[f"w{number}"]
    same(f"updates of worker {number}", worker["count"], histogram.get_total_count())
    for key, share in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)]:
        same(f"{key} of worker {number}", worker[key], at(histogram, share), 1 / 256)
        compared += 1
    for lowest, highest, count in csv_rows[f"w{number}"]:
        # Each of our buckets stands at one value in the log; the last is told by the exact maximum.
        theirs = sum(histogram.get_count_at_value(v) for v in places(histogram, lowest, highest))
        same(f"count of {lowest} to {highest} of worker {number}", count, theirs)
        compared += 1

staleness = read("staleness.hlog")
total = sum(histogram.get_total_count() for histogram in staleness.values())
same("samples of the staleness", record["profile"]["timing"]["samples"], total)

overall = HdrHistogram(1, largest, 3)
for histogram in logs.values():
    overall.add(histogram)
for line in (folder / "delays.hgrm").read_text().splitlines()[2:]:
    if line.startswith("#"):
        continue
    value, share, up_to = line.split()[:3]
    same(f"quantile {share}", float(value), at(overall, float(share)), 1 / 256)
    compared += 1
    if share.startswith("1.0"):
        same("count in the .hgrm", int(up_to), overall.get_total_count())
print(f"{compared} counts and quantiles agree, {overall.get_total_count()} updates, {total} samples")
