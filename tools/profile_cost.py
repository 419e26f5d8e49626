#!/usr/bin/env python3
"""Measures what watching costs: the throughput with profiling and with the live view, against that without.

usage: tools/profile_cost.py [--program FILE] [--rounds N] [--epochs E] [OPTION…]

Runs in turn `train`, `train --profile`, `profile --quiet` and `profile` on a terminal of its own, N times, with further
options of `train`, and compares the throughput that the runs tell: the medians, and the fastest runs, which other work
on the machine disturbs less. The first line tells how far the runs without profiling are apart.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import statistics
import struct
import subprocess
import tempfile
import termios


def on_terminal(command):
    """Runs a command on a terminal of 100×30 characters, and reads what it draws."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        drawn = b""
        # Reading from a terminal that nobody else has open fails.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                drawn += part
    os.close(ours)
    if run.returncode != 0 or b"updates/s" not in drawn:
        raise SystemExit(f"{command}: exit code {run.returncode}, {len(drawn)} bytes drawn")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--program", default="target/release/asyncsgd")
parser.add_argument("--rounds", type=int, default=10)
parser.add_argument("--epochs", default="10")
arguments, options = parser.parse_known_args()
folder = pathlib.Path(tempfile.mkdtemp())
record = folder / "run.json"
common = ["--epochs", arguments.epochs, "--json", str(record), *options]
ways = {
    "train": ["train", "--quiet"],
    "train --profile": ["train", "--quiet", "--profile", str(folder / "profile")],
    "profile --quiet": ["profile", "--quiet"],
    "profile, live view": ["profile"],
}
speeds = {name: [] for name in ways}
for _ in range(arguments.rounds):
    for name, words in ways.items():
        command = [arguments.program, *words, *common]
        if name.endswith("live view"):
            on_terminal(command)
        else:
            subprocess.run(command, check=True)
        told = json.loads(record.read_text())
        speeds[name].append(told["throughput"]["examples_per_second"])
        updates, plan = told["series"][-1]["examples"], told["plan"]
        if plan["block"] == plan["batch"] == 1 and told["delay"]["count"] != updates:
            raise SystemExit(f"{name}: {told['delay']['count']} delays recorded of {updates} updates")
        if name == "train --profile":
            rate, sampling = told["throughput"]["updates_per_second"], told["profile"]["timing"]["cost"]

bases = {"train --profile": "train", "profile --quiet": "train", "profile, live view": "profile --quiet"}
apart = (max(speeds["train"]) - min(speeds["train"])) / statistics.median(speeds["train"])
print(f"runs without profiling are {100 * apart:.1f} % apart; {rate:.3g} updates/s with it,"
      f" sampling takes {100 * sampling:.2f} % by its own count")
for name, base in bases.items():
    cost = [1 - middle(speeds[name]) / middle(speeds[base]) for middle in (statistics.median, max)]
    print(f"{name:18} {max(speeds[name]) / 1e6:7.3f} M examples/s, slower than {base} by"
          f" {100 * cost[0]:+5.1f} % (medians), {100 * cost[1]:+5.1f} % (fastest)")
