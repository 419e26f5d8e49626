"""One peer in a process of its own: trains with each of some settings and saves the weights.

usage: peers.py NAME DATA OUT SETTINGS   (compare.py calls it)

DATA is LIBSVM text; OUT.data.npz holds the same, for peers whose own reading is not measured. Writes
OUT-<number>.npy for each setting of the JSON list SETTINGS and prints a JSON line with the seconds.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np
import scipy.sparse as sp


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def matrix(out):
    held = np.load(out + ".data.npz")
    return sp.csr_matrix((held["values"], held["ids"], held["starts"]), shape=held["shape"]), held["labels"]


def shape(out):
    """Rows and columns, without the data: memory is measured."""
    return tuple(int(size) for size in np.load(out + ".data.npz")["shape"])


def scikit_learn(data, out):
    """SGDClassifier; its text reader is measured."""
    from sklearn.datasets import load_svmlight_file
    from sklearn.linear_model import SGDClassifier

    load, (x, y) = timed(lambda: load_svmlight_file(data))
    x.indices, x.indptr = x.indices.astype(np.int32), x.indptr.astype(np.int32)
    alpha = 1.0 / x.shape[0]

    def train(setting):
        rate = {"learning_rate": setting["rule"]}
        if setting["rule"] != "optimal":
            rate |= {"eta0": setting["rate"], "power_t": 0.5}
        model = SGDClassifier(loss="log_loss", alpha=alpha, fit_intercept=False, max_iter=setting["epochs"], tol=None,
                              random_state=0, **rate)
        seconds, _ = timed(lambda: model.fit(x, y))
        return seconds, model.coef_[0]

    return load, train


def liblinear(data, out):
    """Trust region Newton (-s 0) and dual coordinate descent (-s 7), in one thread."""
    from liblinear.liblinear import liblinear as library, parameter, problem, toPyModel

    x, y = matrix(out)
    whole = problem(y, x, -1)

    def train(setting):
        options = parameter(f"-s {setting['solver']} -c 1 -e {setting['tolerance']} -B -1 -q")
        seconds, model = timed(lambda: library.train(whole, options))
        model = toPyModel(model)
        w = np.ctypeslib.as_array(model.w, (x.shape[1],)).copy()
        return seconds, w if model.get_labels()[0] > 0 else -w

    return None, train


def vowpal_wabbit(data, out):
    """--sgd, from the cache that it writes before the clock starts; features keep their numbers."""
    from vowpalwabbit import Workspace

    text = out + ".vw"
    rows, columns = shape(out)
    bits = max(columns.bit_length(), 1)
    cached = f"-b {bits} -d {text} --cache_file {out}.cache --noconstant --quiet"
    # -k parses the text anew, whatever the cache says; a rate of nearly 0 learns nothing.
    Workspace(f"--sgd -l 1e-30 {cached} -k").finish()

    def train(setting):
        line = (f"--sgd --loss_function logistic --l2 {1.0 / rows!r} -l {setting['rate']} "
                f"--power_t {setting['power']} --initial_t 1 --passes {setting['epochs']} --holdout_off {cached}")

        seconds, workspace = timed(lambda: Workspace(line))
        w = np.array([workspace.get_weight(i) for i in range(1, columns + 1)])
        workspace.finish()
        return seconds, w

    return None, train


def xlearn(data, out):
    """Linear model by --opt sgd on all cores. It tells no times: reading is what remains of a run without its epochs."""
    # Its log is named after the user, and none is a crash.
    os.environ.setdefault("USER", "nobody")
    import xlearn as library

    # It keeps what it has read beside the file.
    text = pathlib.Path(out + ".xlearn").absolute()
    text.unlink(missing_ok=True)
    text.symlink_to(pathlib.Path(data).absolute())
    kept = pathlib.Path(f"{text}.bin")
    kept.unlink(missing_ok=True)
    rows, columns = shape(out)

    def fit(rate, epochs):
        model = library.create_linear()
        model.setTrain(str(text))
        model.disableEarlyStop()
        model.disableNorm()
        model.setQuiet()
        model.setTXTModel(f"{text}.txt")
        setting = {"task": "binary", "opt": "sgd", "lr": rate, "lambda": 1.0 / rows, "epoch": epochs,
                   "nthread": os.cpu_count()}
        return timed(lambda: model.fit(setting, f"{text}.model"))[0]

    first, again, more = fit(0.1, 1), fit(0.1, 1), fit(0.1, 5)
    epoch = max(more - again, 0.0) / 4

    def train(setting):
        whole = fit(setting["rate"], setting["epochs"])
        w = np.zeros(columns)
        for line in open(f"{text}.txt", encoding="ascii"):
            name, value = line.split(":")
            if name.startswith("i_") and 1 <= int(name[2:]) <= len(w):
                w[int(name[2:]) - 1] = float(value)
        return max(whole - (again - epoch), epoch), w

    return first - epoch, train


def main():
    name, data, out, settings = sys.argv[1:]
    peers = {"scikit-learn": scikit_learn, "LIBLINEAR": liblinear, "Vowpal Wabbit": vowpal_wabbit, "xLearn": xlearn}
    load, train = peers[name](data, out)
    seconds = []
    for number, setting in enumerate(json.loads(settings)):
        taken, w = train(setting)
        np.save(f"{out}-{number}.npy", w)
        seconds.append(taken)
    print(json.dumps({"load": load, "train": seconds}))


main()
