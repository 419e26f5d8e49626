"""Runs asyncsgd and its peers on the same data and prints tables; compare.sh calls it.

The objective is mean logistic loss + |w|²/(2n), without an intercept. Every result is judged by one evaluator, from
the weights, in double precision. First each system runs all settings of its grid once; for each gap the setting that
reached it soonest is run again, in a fresh process for each repeat, the systems taking turns.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file

GAPS = [1e-2, 1e-3]

EPOCHS = [1, 2, 4, 8, 16, 32]
GRIDS = {
    "asyncsgd": [{"epochs": epochs} for epochs in EPOCHS],
    "scikit-learn": [{"rule": "optimal", "epochs": e} for e in EPOCHS[1:5]]
    + [{"rule": "invscaling", "rate": r, "epochs": e} for r in (0.1, 1.0, 4.0) for e in EPOCHS[1:5]],
    "LIBLINEAR": [{"solver": s, "tolerance": t} for s, tolerances in
                  ((0, (0.3, 0.1, 0.03, 0.01, 0.001)), (7, (3, 1, 0.3, 0.1, 0.03))) for t in tolerances],
    "Vowpal Wabbit": [{"rate": r, "power": 0.5, "epochs": e} for r in (0.1, 1, 10) for e in EPOCHS[1:5]],
    "xLearn": [{"rate": r, "epochs": e} for r in (0.01, 0.1, 0.5) for e in EPOCHS[1:5]],
}


class Data:
    """The evaluator."""

    def __init__(self, path, out):
        self.path, self.out, self.bytes = path, str(out), os.path.getsize(path)
        self.x, labels = load_svmlight_file(path, dtype=np.float64)
        self.y = np.where(labels == labels.max(), 1.0, -1.0)
        np.savez(self.out + ".data.npz", values=self.x.data, ids=self.x.indices, starts=self.x.indptr,
                 shape=self.x.shape, labels=self.y)
        with open(self.out + ".vw", "w", encoding="ascii") as out:
            for line, label in zip(open(path, encoding="ascii"), self.y):
                out.write(f"{label:.0f} | {line.split(None, 1)[1] if ' ' in line.strip() else ''}".rstrip() + "\n")

    def objective(self, w):
        w = np.pad(np.asarray(w, dtype=np.float64), (0, self.x.shape[1] - len(w)))
        return np.logaddexp(0, -self.y * (self.x @ w)).mean() + w @ w / (2 * len(self.y))


# A small process in between: one that is started from here would begin with this one's peak memory.
LAUNCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
taken, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"\\n{taken} {used}", file=sys.stderr)
sys.exit(code)
"""


def process(command):
    """Runs a command in a fresh process: its output, wall seconds and peak memory in MB."""
    ran = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *map(str, command)], capture_output=True, text=True)
    *errors, told = ran.stderr.strip().splitlines()
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))}: {errors[-1:] or ran.stdout}")
    seconds, kilobytes = told.split()
    return ran.stdout, float(seconds), int(kilobytes) / 1024


def ours(data, program, setting):
    """One run of asyncsgd; the weights are read from LIBLINEAR text."""
    model, record = data.out + ".model", data.out + ".json"
    options = [part for key, value in setting.items() for part in (f"--{key}", str(value))]
    command = [program, "train", data.path, "--cache", "none", *options, "--save", model, "--json", record, "--quiet"]
    _, _, memory = process(command)
    told = json.loads(pathlib.Path(record).read_text())
    lines = pathlib.Path(model).read_text().splitlines()
    at = lines.index("w")
    w = np.array(lines[at + 1:], dtype=np.float64)
    labels = next(line for line in lines if line.startswith("label")).split()[1:]
    w = w if float(labels[0]) > float(labels[1]) else -w
    time = told["time"]
    return time["load_seconds"], time["prepare_seconds"] + time["train_seconds"], w, memory


def run(name, data, program, settings):
    """The settings in one fresh process (ours: in one each): load seconds, (train seconds, objective) each, memory."""
    if name == "asyncsgd":
        runs = [ours(data, program, setting) for setting in settings]
        points = [(seconds, data.objective(w)) for _, seconds, w, _ in runs]
        return statistics.median(load for load, *_ in runs), points, max(memory for *_, memory in runs)
    peers = str(pathlib.Path(__file__).with_name("peers.py"))
    text, _, memory = process([sys.executable, peers, name, data.path, data.out, json.dumps(settings)])
    told = json.loads(text.splitlines()[-1])
    points = [(seconds, data.objective(np.load(f"{data.out}-{i}.npy"))) for i, seconds in enumerate(told["train"])]
    return told["load"], points, memory


def liblinear_load(data):
    """Seconds and memory of LIBLINEAR's program with a tolerance that its first check meets: reading, nearly alone."""
    try:
        command = ["liblinear-train", "-s", "0", "-e", "1e9", "-q", data.path, data.out + ".liblinear"]
        return process(command)[1:]
    except FileNotFoundError:
        return None, None


def words(setting):
    return " ".join(f"{key} {value}" for key, value in setting.items())


def compare(path, folder, program, repeats):
    data = Data(path, folder / pathlib.Path(path).name)
    rows, features, nonzeros = *data.x.shape, data.x.nnz
    print(f"\n{path}: {rows:,} rows × {features:,} features, {nonzeros:,} nonzeros, {data.bytes / 1e6:.0f} MB")
    exact = [{"solver": 0, "tolerance": 1e-9}]
    optimum = run("LIBLINEAR", data, program, exact)[1][0][1]
    print(f"optimum {optimum:.9f} (LIBLINEAR -s 0 -e 1e-9)")
    chosen, least = {}, {}
    for name, grid in list(GRIDS.items()):
        try:
            _, points, _ = run(name, data, program, grid)
        except (RuntimeError, ImportError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        gaps = [objective / optimum - 1 for _, objective in points]
        least[name] = min(gaps)
        reached = lambda gap: [i for i in range(len(grid)) if gaps[i] <= gap]
        best = {gap: min(reached(gap), key=lambda i: points[i][0], default=None) for gap in GAPS}
        # Without a gap to reach, the best of the grid still tells the throughput.
        chosen[name] = {gap: grid[at] for gap, at in best.items() if at is not None} or {None: grid[int(np.argmin(gaps))]}
    found = {name: [] for name in chosen}
    loads = []
    for _ in range(repeats):
        for name, settings in chosen.items():
            found[name].append(run(name, data, program, list(settings.values())))
        loads.append(liblinear_load(data))
    median = lambda values: statistics.median(values) if all(v is not None for v in values) else None
    told = lambda value, form: "–" if value is None else format(value, form)
    print(f"\n{'':14} {'to 1e-2, s':>11} {'to 1e-3, s':>11} {'least gap':>10} {'M nonzeros/s':>13} "
          f"{'load MB/s':>10} {'peak MB':>8}  settings")
    for name, settings in chosen.items():
        seconds = {gap: median([points[i][0] for _, points, _ in found[name]]) for i, gap in enumerate(settings)}
        # The repeats must reach what the first run reached; where threads make a difference, most of them.
        for i, gap in enumerate(settings):
            missed = sum(points[i][1] / optimum - 1 > (gap or np.inf) for _, points, _ in found[name])
            if 2 * missed > repeats:
                seconds[gap] = None
        rates = [s["epochs"] * nonzeros / median([p[i][0] for _, p, _ in found[name]]) / 1e6
                 for i, s in enumerate(settings.values()) if "epochs" in s]
        load, memory = median([load for load, *_ in found[name]]), median([m for *_, m in found[name]])
        if name == "LIBLINEAR":
            load, memory = (median(list(values)) for values in zip(*loads))
        speed = None if load is None else data.bytes / load / 1e6
        print(f"{name:14} {told(seconds.get(1e-2), '11.3f'):>11} {told(seconds.get(1e-3), '11.3f'):>11} "
              f"{least[name]:>10.1e} {told(max(rates, default=None), '.0f'):>13} {told(speed, '.0f'):>10} "
              f"{told(memory, '.0f'):>8}  {'; '.join(words(s) for s in settings.values())}")
    for suffix in (".data.npz", ".vw", ".cache", ".xlearn", ".xlearn.bin", ".xlearn.txt", ".xlearn.model"):
        pathlib.Path(data.out + suffix).unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="+")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--program", default="target/release/asyncsgd")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for path in options.data:
        compare(path, options.folder, options.program, options.repeats)


if __name__ == "__main__":
    main()
