#!/usr/bin/env python3
"""Measures what watching costs: the throughput with profiling and with the live view, against that without.

usage: tools/profile_cost.py [--program FILE] [--rounds N] [--epochs E] [OPTION…]

Runs in turn `train`, `train --profile`, `profile --quiet` and `profile` on a terminal of its own, N times, with further
options of `train`, and compares the throughput that the runs tell: the medians, and the fastest runs, which other work
on the machine disturbs less. The first line tells how far the runs without profiling are apart. Then measures what the
live view takes from the workers: the processor time of the thread that draws it, against that of the thread that only
waits, in three seconds of training.
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
import threading
import time


def busy(run):
    """Seconds that the process's first thread has computed."""
    return int(pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/schedstat").read_text().split()[0]) / 1e9


def on_terminal(command, watch=None):
    """Runs a command on a terminal of 100×30 characters, and reads what it draws. `watch` is called meanwhile."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        watching = threading.Thread(target=watch, args=[run]) if watch else None
        if watching:
            watching.start()
        drawn = b""
        # Reading from a terminal that nobody else has open fails.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                drawn += part
    os.close(ours)
    if watching:
        watching.join()
    if run.returncode != 0 or b"updates/s" not in drawn and not watch:
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

SECONDS = 3
taken = {}
for name in ["profile", "profile --quiet"]:
    def watch(run):
        time.sleep(2)
        before = busy(run)
        time.sleep(SECONDS)
        taken[name] = busy(run) - before

    still = ["--epochs", "1000", "--evaluate-every", "1000", "--time-limit", f"{SECONDS + 4}s", *options]
    on_terminal([arguments.program, *name.split(), *still], watch)
cores = len(os.sched_getaffinity(0))
drawing, waiting = (1000 * taken[name] / SECONDS for name in ["profile", "profile --quiet"])
print(f"live view: {drawing:.2f} ms of processor time a second, {waiting:.2f} ms without it;"
      f" {(drawing - waiting) / 10 / cores:.3f} % of {cores} cores")
