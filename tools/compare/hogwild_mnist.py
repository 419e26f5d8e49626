"""PyTorch's Hogwild on MNIST, after its example `mnist_hogwild`: processes that train one model in shared memory.

usage: hogwild_mnist.py FOLDER [--processes N] [--rate R] [--batch B] [--target A] [--epochs E]

FOLDER holds the four files of MNIST (train-images-idx3-ubyte.gz, …). The model is a perceptron 784-128-10 with
rectifiers, trained by plain SGD on mini-batches. Images lie in memory, each process uses one thread, and evaluation is
off the clock. Prints one line of JSON: samples a second, seconds of training until the test accuracy reached the
target (null if it did not), and the last test accuracy.
"""

import argparse
import gzip
import json
import os
import time

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import nn

# How often the accuracy is looked at in an epoch.
PARTS = 4


def load(folder, name):
    def read(kind, offset):
        with gzip.open(os.path.join(folder, f"{name}-{kind}-ubyte.gz")) as file:
            return np.frombuffer(file.read(), dtype=np.uint8, offset=offset)

    images = read("images-idx3", 16).reshape(-1, 784).astype(np.float32) / 255
    return torch.from_numpy(images), torch.from_numpy(read("labels-idx1", 8).astype(np.int64))


def work(rank, args, model, data, barrier, done):
    """Takes its share of each part of an epoch, between two barriers."""
    torch.set_num_threads(1)
    images, labels = data
    optimizer = torch.optim.SGD(model.parameters(), lr=args.rate)
    loss = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))
        for part in order.chunk(PARTS):
            mine = part.chunk(args.processes)[rank]
            barrier.wait()
            for batch in mine.split(args.batch):
                optimizer.zero_grad()
                loss(model(images[batch]), labels[batch]).backward()
                optimizer.step()
            barrier.wait()
            # The accuracy is computed here.
            barrier.wait()
            if done.value:
                return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--target", type=float, default=0.97)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(0)
    train, (images, labels) = load(args.folder, "train"), load(args.folder, "t10k")
    for tensor in train:
        tensor.share_memory_()
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    model.share_memory()
    context = mp.get_context("spawn")
    barrier, done = context.Barrier(args.processes + 1), context.Value("b", 0)
    processes = [context.Process(target=work, args=(rank, args, model, train, barrier, done), daemon=True)
                 for rank in range(args.processes)]
    for process in processes:
        process.start()
    seconds, samples, reached, accuracy = 0.0, 0, None, 0.0
    parts = [len(part) for part in torch.arange(len(train[1])).chunk(PARTS)] * args.epochs
    for size in parts:
        barrier.wait()
        start = time.perf_counter()
        barrier.wait()
        seconds += time.perf_counter() - start
        samples += size
        with torch.no_grad():
            accuracy = (model(images).argmax(1) == labels).double().mean().item()
        if accuracy >= args.target and reached is None:
            reached = seconds
            done.value = 1
        barrier.wait()
        if done.value:
            break
    for process in processes:
        process.join()
    print(json.dumps({"samples_per_second": samples / seconds, "seconds": reached, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
