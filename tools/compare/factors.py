"""asyncsgd against LIBMF, xLearn, gensim and fastText, with 2 workers each: speed and quality, interleaved.

usage: factors.py --folder DIR ratings TRAIN TEST | machine TRAIN TEST | words TEXT QUESTIONS   (factors.sh calls it)
"""

import argparse
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

PROGRAM = "target/release/asyncsgd"
WORKERS = 2


def asyncsgd(*options):
    """Trains, and returns the record."""
    command = [PROGRAM, "train", *options, "-j", str(WORKERS), "--json", "-"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def by_itself(name, *arguments):
    """A peer in a process of its own, so that no memory or thread of it is left over."""
    command = [sys.executable, __file__, "--peer", name, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def ratings(args):
    """Ratings a second in training alone: of LIBMF the difference of a long and a short run."""
    def ours(update):
        options = ["--model", "mf:32", "--test", args.test, "--update", update, "--epochs", str(args.epochs or 10)]
        record = asyncsgd(args.train, *options, *args.option)
        return record["throughput"]["examples_per_second"], record["final"]["rmse"]

    return {
        "asyncsgd, racy": lambda: ours("racy"),
        "asyncsgd, cas": lambda: ours("cas"),
        "LIBMF": lambda: by_itself("libmf", args.train, args.test, args.l2, args.rate, args.epochs or 10),
    }, "ratings/s", "test RMSE"


def peer_libmf(train, test, l2, rate, epochs):
    with contextlib.redirect_stdout(io.StringIO()):
        from libmf import mf
    read = lambda path: np.loadtxt(path, dtype=np.float32, usecols=(0, 1, 2))
    train, test, epochs = read(train), read(test), int(epochs)
    seconds = []
    for iterations in (epochs, 3 * epochs, epochs):
        model = mf.MF(k=32, nr_threads=WORKERS, nr_bins=20, nr_iters=iterations, lambda_p1=0.0, lambda_q1=0.0,
                      lambda_p2=float(l2), lambda_q2=float(l2), eta=float(rate), quiet=True, copy_data=False)
        start = time.perf_counter()
        model.fit(train)
        seconds.append(time.perf_counter() - start)
    # Its interface wants all users, then all items.
    predicted = model.predict(np.asfortranarray(test[:, :2]))
    rmse = float(np.sqrt(np.mean((predicted - test[:, 2]) ** 2)))
    return len(train) * 2 * epochs / (seconds[1] - min(seconds[0], seconds[2])), rmse


def machine(args):
    """Seconds of training."""
    def ours():
        options = ["--model", "fm:8", "--test", args.test, "--update", "racy", "--epochs", str(args.epochs or 10)]
        record = asyncsgd(args.train, *options, *args.option)
        return record["time"]["train_seconds"], record["final"]["log_loss"]

    peers = {"asyncsgd": ours}
    if importlib.util.find_spec("xlearn"):
        peers["xLearn"] = lambda: by_itself("xlearn", args.train, args.test, args.l2, args.rate, args.epochs or 10)
    return peers, "seconds", "test log-loss"


def peer_xlearn(train, test, l2, rate, epochs):
    # Its log is named after the user, and none is a crash.
    os.environ.setdefault("USER", "nobody")
    import xlearn

    model = xlearn.create_fm()
    model.setTrain(train)
    model.disableEarlyStop()
    model.setSigmoid()
    model.setQuiet()
    setting = {"task": "binary", "lr": float(rate), "lambda": float(l2), "k": 8, "nthread": WORKERS, "opt": "adagrad"}

    def fit(epochs):
        start = time.perf_counter()
        model.fit(setting | {"epoch": epochs}, train + ".model")
        return time.perf_counter() - start

    # Reading is what no epoch costs.
    reading = fit(1)
    whole = fit(int(epochs))
    model.setTest(test)
    model.predict(train + ".model", train + ".out")
    chances = np.clip(np.loadtxt(train + ".out"), 1e-7, 1 - 1e-7)
    labels = np.array([float(line.split(maxsplit=1)[0]) > 0 for line in open(test)])
    loss = -np.mean(np.where(labels, np.log(chances), np.log(1 - chances)))
    return (whole - reading) * int(epochs) / (int(epochs) - 1), float(loss)


def words(args):
    """Words of the text a second; of gensim without the vocabulary, of fastText, which does not tell, with it."""
    length = sum(len(line.split()) for line in open(args.train, encoding="utf-8"))
    epochs = args.epochs or 1

    def ours():
        out = os.path.join(args.folder, "words.bin")
        options = ["--model", "skipgram:100", "--update", "racy", "--epochs", str(epochs), "--save", out]
        record = asyncsgd(args.train, *options, *args.option)
        return length * epochs / record["time"]["train_seconds"], analogies(out, args.test)

    peer = lambda name: by_itself(name, args.train, args.test, args.folder, epochs, length)
    return {"asyncsgd": ours, "gensim": lambda: peer("gensim"), "fastText": lambda: peer("fasttext")}, \
        "words/s", "analogies, %"


def analogies(path, questions):
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load_word2vec_format(path, binary=True)
    score, _ = vectors.evaluate_word_analogies(questions, restrict_vocab=30000, case_insensitive=True)
    return 100 * score


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
    return int(length) * int(epochs) / seconds, analogies(out, questions)


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
    return int(length) * int(epochs) / seconds, analogies(out, questions)


def main():
    if "--peer" in sys.argv:
        at = sys.argv.index("--peer")
        print(json.dumps(globals()["peer_" + sys.argv[at + 1]](*sys.argv[at + 2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("task", choices=["ratings", "machine", "words"])
    parser.add_argument("train")
    parser.add_argument("test", help="test data, or questions of analogies")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--l2", type=float, default=0.1, help="the peer's penalty")
    parser.add_argument("--rate", type=float, default=0.1, help="the peer's rate")
    parser.add_argument("--option", nargs="*", default=[], help="of asyncsgd, such as --option=--rate=0.1")
    args = parser.parse_args()
    peers, speed, quality = {"ratings": ratings, "machine": machine, "words": words}[args.task](args)
    runs = {name: [] for name in peers}
    for _ in range(args.repeats):
        for name, run in peers.items():
            runs[name].append(run())
    print(f"{'':16} {speed:>14} {quality:>14}   (medians of {args.repeats}, {WORKERS} workers each)")
    for name, found in runs.items():
        fast, good = (statistics.median(column) for column in zip(*found))
        print(f"{name:16} {fast:14.4g} {good:14.4f}")


main()
