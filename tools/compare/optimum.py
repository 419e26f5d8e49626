"""How long it takes to an optimum: asyncsgd's `train DATA --target-gap G`, nothing else given, beside LIBLINEAR and
scikit-learn's SGD; compare.sh calls it with --optimum.

The objective is mean logistic loss + |w|²/(2n), without an intercept, and seconds are those of training alone with what
comes before the first epoch, for LIBLINEAR those of its solver in one thread. What the peers need to reach a gap, the loosest tolerance or the fewest
epochs of a grid, is found first and kept in the folder; then all take turns, each in a fresh process. Every result is
judged by one evaluator. Of a data set and a gap only the peers are timed that took less than three times what the
soonest took then.
"""

import argparse
import json
import pathlib
import statistics
import zlib

from compare import Data, run

LIBLINEAR = {f"LIBLINEAR -s {s}": [{"solver": s, "tolerance": first / 3**k} for k in range(16)]
             for s, first in ((0, 1.0), (7, 1000.0))}
PEERS = LIBLINEAR | {"scikit-learn": [{"rule": "optimal", "epochs": 2**k} for k in range(6)]}


def of(name):
    return name.split(" -s")[0]


def settings(data, gaps, kept):
    """The optimum, and for each gap what the peers need to reach it that are soon there."""
    # Data of the same name may be others now.
    arrays = data.x.indptr, data.x.indices, data.x.data
    which = [*map(int, data.x.shape), *(zlib.crc32(array.tobytes()) for array in arrays)]
    known = json.loads(kept.read_text()) if kept.exists() else {}
    if known.get("data") == which and set(map(str, gaps)) <= set(known["settings"]):
        return known["optimum"], known["settings"]
    optimum = run("LIBLINEAR", data, None, [{"solver": 0, "tolerance": 1e-10}])[1][0][1]
    found = {str(gap): {} for gap in gaps}
    taken = {str(gap): {} for gap in gaps}
    for name, grid in PEERS.items():
        for setting in grid:
            seconds, objective = run(of(name), data, None, [setting])[1][0]
            for gap in map(str, gaps):
                if name not in found[gap] and objective <= optimum * (1 + float(gap)):
                    found[gap][name], taken[gap][name] = setting, seconds
            least = {gap: min(of_gap.values(), default=float("inf")) for gap, of_gap in taken.items()}
            if all(name in found[gap] or seconds > 3 * least[gap] for gap in found):
                break
    for gap in found:
        found[gap] = {name: s for name, s in found[gap].items() if taken[gap][name] <= 3 * least[gap]}
    kept.write_text(json.dumps({"data": which, "optimum": optimum, "settings": found}, indent=1))
    return optimum, found


def compare(path, folder, program, gaps, algorithms, repeats):
    name = pathlib.Path(path).name
    data = Data(path, folder / name)
    optimum, peers = settings(data, gaps, folder / f"{name}.optimum.json")
    print(f"\n{name}: {data.x.shape[0]:,} rows, {data.x.nnz:,} nonzeros, optimum {optimum:.10f}; "
          f"ms of training, medians of {repeats}", flush=True)
    for gap in gaps:
        found = {}
        for _ in range(repeats):
            for algorithm in algorithms:
                setting = {"target-gap": gap, "algorithm": algorithm, "epochs": 200}
                plain = {"target-gap": gap} if algorithm == "auto" else setting
                found.setdefault(algorithm, []).append(run("asyncsgd", data, program, [plain])[1][0])
            for peer, setting in peers[str(gap)].items():
                found.setdefault(peer, []).append(run(of(peer), data, None, [setting])[1][0])
        ours = statistics.median(seconds for seconds, _ in found[algorithms[0]])
        for system, points in found.items():
            seconds, worst = statistics.median(s for s, _ in points), max(o for _, o in points) / optimum - 1
            wrong = "" if worst <= gap else "  NOT REACHED"
            print(f"  gap {gap:.0e}  {system:16} {seconds * 1e3:9.1f}  {seconds / ours:6.2f}×  "
                  f"gap found {worst:9.2e}{wrong}  {peers[str(gap)].get(system, '')}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="+")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--program", default="target/release/asyncsgd")
    parser.add_argument("--gaps", type=float, nargs="+", default=[1e-3, 1e-6])
    parser.add_argument("--algorithms", nargs="+", default=["auto"], help="the first is what ratios refer to")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for path in options.data:
        compare(path, options.folder, options.program, options.gaps, options.algorithms, options.repeats)


if __name__ == "__main__":
    main()
