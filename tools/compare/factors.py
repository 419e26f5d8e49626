"""asyncsgd against those who train the same models, with 2 workers each: seconds to equal quality, interleaved.

usage: factors.py --folder DIR TASK …   (factors.sh calls it)

  ratings TRAIN TEST       matrix factorization of rank 32: LIBMF. Lines of user, item and rating, numbers from 0.
  machine TRAIN TEST       factorization machine with 8 factors: xLearn. Rows in LIBSVM's format, labels ±1 or 0 and 1.
  fields TRAIN TEST        field-aware, with 4 factors: xLearn. Rows in LIBFFM's format.
  words TEXT QUESTIONS     skip-gram vectors of 100 dimensions: gensim, fastText. Questions as word2vec has them; also
                           the correlation with people's judgement of 353 pairs of words.
  network FOLDER           perceptron 784-128-10 on mini-batches of 64: PyTorch's Hogwild. The four files of MNIST.

Each system runs in a process of its own, with more and more epochs while that betters its quality on test data. What
the better of two comes to is not asked of the other: the worse of their bests is the goal, or --goal. Then those with
the fewest epochs that reach it take turns, and medians are told of seconds, speed and quality, and of the ratios of
seconds within a round. With --epochs all run so long, and the least and the largest speed are told. Seconds are of
training alone, as near as a system lets one know.
"""

import argparse
import concurrent.futures
import contextlib
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

WORKERS = 2
# Epochs that are tried.
GRID = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32]
# … of networks: PyTorch's script looks at its accuracy as often.
QUARTERS = [quarter / 4 for quarter in range(4, 17)]
# So often in a row no more of them are worth trying.
NO_BETTER = 3


def asyncsgd(args, train, *options, workers=WORKERS):
    """Trains, and returns the record."""
    command = [args.program, "train", train, *options, "-j", str(workers), "--json", "-", *args.option]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def by_itself(name, *arguments):
    """A peer in a process of its own, so that no memory or thread of it is left over."""
    command = [sys.executable, __file__, "--peer", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rate_of(record, unit=None):
    seconds = record["time"]["train_seconds"]
    return (unit / seconds if unit else record["throughput"]["examples_per_second"]), seconds


def ratings(args):
    def ours(update, epochs):
        options = ["--model", "mf:32", "--test", args.test, "--update", update, "--epochs", str(epochs)]
        record = asyncsgd(args, args.train, *options)
        return *rate_of(record), record["final"]["rmse"]

    return {
        "asyncsgd, cas": lambda epochs: ours("cas", epochs),
        "asyncsgd, racy": lambda epochs: ours("racy", epochs),
        "LIBMF": lambda epochs: by_itself("libmf", args.train, args.test, args.l2 or 0.1, args.rate or 0.1, epochs),
    }, "ratings/s", ["test RMSE"], min


def peer_libmf(train, test, l2, rate, epochs):
    with contextlib.redirect_stdout(io.StringIO()):
        from libmf import mf

    def read(path):
        return np.loadtxt(path, dtype=np.float32, usecols=(0, 1, 2), delimiter="," if path.endswith(".csv") else None)

    train, test, epochs = read(train), read(test), int(epochs)
    seconds = []
    # Laying the ratings out is what no epoch costs.
    for iterations in (epochs, 11 * epochs, epochs):
        model = mf.MF(k=32, nr_threads=WORKERS, nr_bins=20, nr_iters=iterations, lambda_p1=0.0, lambda_q1=0.0,
                      lambda_p2=float(l2), lambda_q2=float(l2), eta=float(rate), quiet=True, copy_data=False)
        start = time.perf_counter()
        model.fit(train)
        seconds.append(time.perf_counter() - start)
    # Its interface wants all users, then all items.
    predicted = model.predict(np.asfortranarray(test[:, :2]))
    rmse = float(np.sqrt(np.mean((predicted - test[:, 2]) ** 2)))
    each = (seconds[1] - min(seconds[0], seconds[2])) / (10 * epochs)
    return len(train) / each, each * epochs, rmse


def machines(args, model, kind, factors):
    def ours(epochs):
        options = ["--model", f"{model}:{factors}", "--test", args.test, "--epochs", str(epochs)]
        record = asyncsgd(args, args.train, *options)
        return *rate_of(record), record["final"]["log_loss"]

    systems = {"asyncsgd": ours}
    if importlib.util.find_spec("xlearn"):
        out = os.path.join(args.folder, "xlearn")
        setting = [kind, factors, args.train, args.test, out, args.l2 or 2e-5, args.rate or 0.2]
        systems["xLearn"] = lambda epochs: by_itself("xlearn", *setting, epochs)
    return systems, "rows/s", ["test log-loss"], min


def peer_xlearn(kind, factors, train, test, out, l2, rate, epochs):
    # Its log is named after the user, and none is a crash.
    os.environ.setdefault("USER", "nobody")
    import xlearn

    model = {"fm": xlearn.create_fm, "ffm": xlearn.create_ffm}[kind]()
    model.setTrain(train)
    model.disableEarlyStop()
    model.setSigmoid()
    model.setQuiet()
    setting = {"task": "binary", "lr": float(rate), "lambda": float(l2), "k": int(factors), "nthread": WORKERS,
               "opt": "adagrad"}

    def fit(epochs):
        start = time.perf_counter()
        model.fit(setting | {"epoch": epochs}, out + ".model")
        return time.perf_counter() - start

    # The first run leaves a binary copy of the data behind.
    fit(1)
    reading, epochs = fit(1), int(epochs)
    each = (fit(epochs + 1) - reading) / epochs
    fit(epochs)
    model.setTest(test)
    model.predict(out + ".model", out + ".predicted")
    chances = np.clip(np.loadtxt(out + ".predicted"), 1e-7, 1 - 1e-7)
    labels = np.array([float(line.split(maxsplit=1)[0]) > 0 for line in open(test, encoding="ascii")])
    rows = sum(1 for _ in open(train, encoding="ascii"))
    loss = -np.mean(np.where(labels, np.log(chances), np.log(1 - chances)))
    return rows / each, each * epochs, float(loss)


def words(args):
    """Of gensim without the vocabulary, of fastText, which does not tell, with it."""
    length = sum(len(line.split()) for line in open(args.train, encoding="utf-8"))

    def ours(update, epochs):
        out = os.path.join(args.folder, "words.bin")
        options = ["--model", "skipgram:100", "--update", update, "--epochs", str(epochs), "--save", out]
        return *rate_of(asyncsgd(args, args.train, *options), length * epochs), *meaning(out, args.test)

    def peer(name):
        return lambda epochs: by_itself(name, args.train, args.test, args.folder, epochs, length)

    systems = {
        "asyncsgd, cas": lambda epochs: ours("cas", epochs),
        "asyncsgd, racy": lambda epochs: ours("racy", epochs),
        "gensim": peer("gensim"),
        "fastText": peer("fasttext"),
    }
    return systems, "words/s", ["analogies, %", "pairs, ρ"], max


def meaning(path, questions):
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    vectors = KeyedVectors.load_word2vec_format(path, binary=True)
    score, _ = vectors.evaluate_word_analogies(questions, restrict_vocab=30000, case_insensitive=True)
    pairs = vectors.evaluate_word_pairs(datapath("wordsim353.tsv"))
    return 100 * score, float(pairs[1][0])


def peer_gensim(text, questions, folder, epochs, length):
    from gensim.models import Word2Vec

    model = Word2Vec(vector_size=100, window=5, negative=5, sample=1e-4, min_count=5, sg=1, workers=WORKERS)
    model.build_vocab(corpus_file=text)
    start = time.perf_counter()
    model.train(corpus_file=text, total_words=model.corpus_total_words, total_examples=model.corpus_count,
                epochs=int(epochs))
    seconds = time.perf_counter() - start
    out = os.path.join(folder, "gensim.bin")
    model.wv.save_word2vec_format(out, binary=True)
    return int(length) * int(epochs) / seconds, seconds, *meaning(out, questions)


def peer_fasttext(text, questions, folder, epochs, length):
    import fasttext

    start = time.perf_counter()
    model = fasttext.train_unsupervised(text, model="skipgram", dim=100, ws=5, neg=5, t=1e-4, minCount=5, maxn=0,
                                        bucket=0, thread=WORKERS, epoch=int(epochs), lr=0.025, verbose=0)
    seconds = time.perf_counter() - start
    out, matrix = os.path.join(folder, "fasttext.bin"), model.get_input_matrix()
    with open(out, "wb") as file:
        file.write(f"{len(matrix)} {matrix.shape[1]}\n".encode())
        for word, row in zip(model.get_words(), matrix):
            file.write(word.encode() + b" " + row.astype("<f4").tobytes() + b"\n")
    return int(length) * int(epochs) / seconds, seconds, *meaning(out, questions)


def network(args):
    """The goal is 97 %; PyTorch stops by itself when it is reached. "1 + 1" are two runs with one worker each at the
    same time: as much as the machine gives to two workers who share nothing."""
    args.goal = args.goal or 97.0
    images, test = (os.path.join(args.train, f"{name}-images-idx3-ubyte.gz") for name in ("train", "t10k"))
    options = ["--model", "mlp:784-128-10", "--test", test, "--batch", "64", "--rate", "0.7"]

    def ours(epochs, workers, *more):
        record = asyncsgd(args, images, *options, "--epochs", str(epochs), *more, workers=workers)
        return *rate_of(record), 100 * record["final"]["accuracy"]

    def apart(epochs):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda core: ours(epochs, 1, "--pin", str(core)), (0, 1)))
        return sum(run[0] for run in runs), max(run[1] for run in runs), min(run[2] for run in runs)

    def torch(processes):
        script = os.path.join(os.path.dirname(__file__), "hogwild_mnist.py")
        setting = ["--processes", processes, "--rate", args.rate or 0.5, "--target", args.goal / 100, "--epochs", 10]
        command = [sys.executable, script, args.train, *map(str, setting)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return told["samples_per_second"], told["seconds"] or float("nan"), 100 * told["accuracy"]

    systems = {"asyncsgd, 1": lambda epochs: ours(epochs, 1), "asyncsgd, 1 + 1": apart,
               "asyncsgd, 2": lambda epochs: ours(epochs, 2)}
    if importlib.util.find_spec("torch"):
        systems |= {f"PyTorch, {n}": lambda epochs, n=n: torch(n) for n in (1, 2)}
    return systems, "samples/s", ["accuracy, %"], max


TASKS = {"ratings": ratings, "machine": lambda args: machines(args, "fm", "fm", 8),
         "fields": lambda args: machines(args, "ffm", "ffm", 4), "words": words, "network": network}


def search(run, better, goal, grid):
    """Runs of more and more epochs, by their number: until the goal is reached, or without one while they are better."""
    found, since = {}, 0
    for epochs in grid:
        before = [quality for _, _, quality, *_ in found.values()]
        quality = (found.setdefault(epochs, run(epochs)))[2]
        since = since + 1 if before and better(*before, quality) != quality else 0
        if since == NO_BETTER or (goal is not None and reaches(quality, goal, better)):
            break
    return found


def reaches(quality, goal, better):
    return quality == goal or better(quality, goal) == quality


def take_turns(runs, repeats):
    """What each of some runs gives, round by round."""
    found = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
    return found


def show(name, rounds, *columns):
    good = "".join(f"{statistics.median(column):14.4f}" for column in list(zip(*rounds))[2:])
    print(f"{name:16}{''.join(columns)}{good}", flush=True)


def to_equal_quality(systems, args, unit, qualities, better):
    """Peer by peer."""
    grid = QUARTERS if args.task == "network" else GRID
    tried = {name: search(run, better, args.goal, grid) for name, run in systems.items()}
    best = {name: better(run[2] for run in found.values()) for name, found in tried.items()}
    ours = [name for name in systems if name.startswith("asyncsgd")]
    worse = max if better is min else min
    peers = [[name] for name in systems if name not in ours]
    # Without a peer ours alone are shown.
    for peer in peers or [[]]:
        goal = args.goal if args.goal is not None else worse(best[name] for name in (*peer, *ours))
        fewest = {}
        for name in (*peer, *ours):
            reaching = (n for n, run in tried[name].items() if reaches(run[2], goal, better))
            if (epochs := next(reaching, None)) is None:
                print(f"{name}: {goal:.4f} was not reached, {best[name]:.4f} was")
            else:
                fewest[name] = epochs
        rounds = take_turns({name: lambda name=name, n=n: systems[name](n) for name, n in fewest.items()}, args.repeats)
        heads = "".join(f"{quality:>14}" for quality in qualities)
        print(f"to {goal:<13.4f}{'epochs':>8}{'seconds':>12}{'ratio':>8}{unit:>12}{heads}   (medians of {args.repeats})")
        for name, found in rounds.items():
            seconds, speed = (statistics.median(run[k] for run in found) for k in (1, 0))
            others = next((rounds[name] for name in peer if name in rounds), [])
            ratios = [other[1] / run[1] for run, other in zip(found, others)]
            ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
            show(name, found, f"{fewest[name]:8}{seconds:12.4f}{ratio:>8}{speed:12,.0f}")


def for_epochs(systems, args, unit, qualities):
    rounds = take_turns({name: lambda run=run: run(args.epochs) for name, run in systems.items()}, args.repeats)
    heads = "".join(f"{quality:>14}" for quality in qualities)
    print(f"{'':16}{unit:>12}{'least':>12}{'largest':>12}{'seconds':>12}{heads}   (medians of {args.repeats})")
    for name, found in rounds.items():
        speeds, seconds = ([run[k] for run in found] for k in (0, 1))
        speeds = "".join(f"{speed:12,.0f}" for speed in (statistics.median(speeds), min(speeds), max(speeds)))
        show(name, found, f"{speeds}{statistics.median(seconds):12.4f}")


def main():
    if "--peer" in sys.argv:
        at = sys.argv.index("--peer")
        print(json.dumps(globals()["peer_" + sys.argv[at + 1]](*sys.argv[at + 2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--program", default="target/release/asyncsgd")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("train")
    parser.add_argument("test", nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="so many, whatever they come to")
    parser.add_argument("--goal", type=float, help="the first quality that is shown, to be reached by each")
    parser.add_argument("--l2", type=float, help="the peer's penalty")
    parser.add_argument("--rate", type=float, help="the peer's rate")
    parser.add_argument("--only", help="systems whose names contain one of these, parted by commas")
    parser.add_argument("--option", action="append", default=[], help="of asyncsgd, such as --option=--rate=0.1")
    args = parser.parse_args()
    if args.test is None and args.task != "network":
        parser.error(f"{args.task}: a second file is missing")
    systems, unit, qualities, better = TASKS[args.task](args)
    wanted = args.only.split(",") if args.only else [""]
    systems = {name: run for name, run in systems.items() if any(part in name for part in wanted)}
    if args.epochs:
        for_epochs(systems, args, unit, qualities)
    else:
        to_equal_quality(systems, args, unit, qualities, better)


main()
