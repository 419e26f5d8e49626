"""asyncsgd against those who train the same models, with 2 workers each: speed and quality, interleaved.

usage: factors.py --folder DIR TASK …   (factors.sh calls it)

  ratings TRAIN TEST       matrix factorization of rank 32: LIBMF. Lines of user, item and rating, numbers from 0.
  machine TRAIN TEST       factorization machine with 8 factors: xLearn. Rows in LIBSVM's format, labels ±1 or 0 and 1.
  fields TRAIN TEST        field-aware, with 4 factors: xLearn. Rows in LIBFFM's format.
  words TEXT QUESTIONS     skip-gram vectors of 100 dimensions: gensim, fastText. Questions as word2vec has them; also
                           the correlation with people's judgement of 353 pairs of words.
  network FOLDER           perceptron 784-128-10 on mini-batches of 64: PyTorch's Hogwild. The four files of MNIST.

Each system runs in a process of its own, the systems taking turns; medians are told, with the least and the largest
speed. Seconds are of training alone, as near as a system lets one know.
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
    def ours(update):
        options = ["--model", "mf:32", "--test", args.test, "--update", update, "--epochs", str(args.epochs or 10)]
        record = asyncsgd(args, args.train, *options)
        return *rate_of(record), record["final"]["rmse"]

    epochs = args.peer_epochs or args.epochs or 10
    return {
        "asyncsgd, cas": lambda: ours("cas"),
        "asyncsgd, racy": lambda: ours("racy"),
        "LIBMF": lambda: by_itself("libmf", args.train, args.test, args.l2 or 0.1, args.rate or 0.1, epochs),
    }, "ratings/s", ["test RMSE"]


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
    def ours():
        options = ["--model", f"{model}:{factors}", "--test", args.test, "--epochs", str(args.epochs or 10)]
        record = asyncsgd(args, args.train, *options)
        return *rate_of(record), record["final"]["log_loss"]

    peers = {"asyncsgd": ours}
    if importlib.util.find_spec("xlearn"):
        epochs = args.peer_epochs or args.epochs or 10
        out = os.path.join(args.folder, "xlearn")
        setting = [kind, factors, args.train, args.test, out, args.l2 or 2e-5, args.rate or 0.2, epochs]
        peers["xLearn"] = lambda: by_itself("xlearn", *setting)
    return peers, "rows/s", ["test log-loss"]


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
    epochs = args.epochs or 1

    def ours():
        out = os.path.join(args.folder, "words.bin")
        options = ["--model", "skipgram:100", "--epochs", str(epochs), "--save", out]
        return *rate_of(asyncsgd(args, args.train, *options), length * epochs), *meaning(out, args.test)

    def peer(name):
        return by_itself(name, args.train, args.test, args.folder, args.peer_epochs or epochs, length)

    return {"asyncsgd": ours, "gensim": lambda: peer("gensim"), "fastText": lambda: peer("fasttext")}, \
        "words/s", ["analogies, %", "pairs, ρ"]


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
    """Of PyTorch until its test accuracy is 97 %, or the epochs are done; of asyncsgd the whole run. "1 + 1" are two
    runs with one worker each at the same time: as much as the machine gives to two workers who share nothing."""
    images, test = (os.path.join(args.train, f"{name}-images-idx3-ubyte.gz") for name in ("train", "t10k"))
    options = ["--model", "mlp:784-128-10", "--test", test, "--batch", "64", "--rate", "0.7",
               "--epochs", str(args.epochs or 2)]

    def ours(workers, *more):
        record = asyncsgd(args, images, *options, *more, workers=workers)
        return *rate_of(record), 100 * record["final"]["accuracy"]

    def apart():
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda core: ours(1, "--pin", str(core)), (0, 1)))
        return sum(run[0] for run in runs), max(run[1] for run in runs), min(run[2] for run in runs)

    def torch(processes):
        script = os.path.join(os.path.dirname(__file__), "hogwild_mnist.py")
        setting = ["--processes", processes, "--rate", args.rate or 0.5, "--epochs", args.peer_epochs or 10]
        command = [sys.executable, script, args.train, *map(str, setting)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return told["samples_per_second"], told["seconds"] or float("nan"), 100 * told["accuracy"]

    peers = {"asyncsgd, 1": lambda: ours(1), "asyncsgd, 1 + 1": apart, "asyncsgd, 2": lambda: ours(2)}
    if importlib.util.find_spec("torch"):
        peers |= {f"PyTorch, {n}": lambda n=n: torch(n) for n in (1, 2)}
    return peers, "samples/s", ["accuracy, %"]


TASKS = {"ratings": ratings, "machine": lambda args: machines(args, "fm", "fm", 8),
         "fields": lambda args: machines(args, "ffm", "ffm", 4), "words": words, "network": network}


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
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--peer-epochs", type=int)
    parser.add_argument("--l2", type=float, help="the peer's penalty")
    parser.add_argument("--rate", type=float, help="the peer's rate")
    parser.add_argument("--only", help="systems whose names contain this")
    parser.add_argument("--option", action="append", default=[], help="of asyncsgd, such as --option=--rate=0.1")
    args = parser.parse_args()
    if args.test is None and args.task != "network":
        parser.error(f"{args.task}: a second file is missing")
    peers, speed, qualities = TASKS[args.task](args)
    peers = {name: run for name, run in peers.items() if (args.only or "") in name}
    runs = {name: [] for name in peers}
    for _ in range(args.repeats):
        for name, run in peers.items():
            runs[name].append(run())
    heads = "".join(f"{quality:>14}" for quality in qualities)
    print(f"{'':16}{speed:>12}{'least':>12}{'largest':>12}{'seconds':>10}{heads}   (medians of {args.repeats})")
    for name, found in runs.items():
        fast, seconds, *good = zip(*found)
        fast = [statistics.median(fast), min(fast), max(fast)]
        good = "".join(f"{statistics.median(column):14.4f}" for column in good)
        print(f"{name:16}{''.join(f'{f:12,.0f}' for f in fast)}{statistics.median(seconds):10.3f}{good}")


main()
