"""The peers of `extreme.py`: full and sampled softmax in PyTorch, label trees."""

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sklearn_lsh.datasets import dump_multilabel
from sklearn_lsh.metrics import precision_at_k

HIDDEN, TOP = 128, 5


def precisions(Y, top):
    return [precision_at_k(Y, top, k) for k in (1, 3, 5)]


class Torch:
    def __init__(self, X, Y, rate, batch, seed):
        import torch

        self.torch, self.batch = torch, batch
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.embedding = torch.nn.EmbeddingBag(X.shape[1], HIDDEN, mode="sum", sparse=True)
        torch.nn.init.normal_(self.embedding.weight, std=0.1)
        self.bias = torch.nn.Parameter(torch.zeros(HIDDEN))
        self.output = torch.nn.Linear(HIDDEN, Y.shape[1])
        dense = [self.bias, *self.output.parameters()]
        self.optimizers = [
            torch.optim.SparseAdam(self.embedding.parameters(), lr=rate),
            torch.optim.Adam(dense, lr=rate, fused=True),
        ]

    def hidden(self, X):
        torch = self.torch
        hidden = self.embedding(
            torch.from_numpy(X.indices.astype(np.int64)),
            torch.from_numpy(X.indptr[:-1].astype(np.int64)),
            per_sample_weights=torch.from_numpy(X.data),
        )
        return torch.relu(hidden + self.bias)

    def scores(self, X):
        return self.output(self.hidden(X))

    def epoch(self, X, Y):
        order = self.rng.permutation(X.shape[0])
        for at in range(0, len(order), self.batch):
            rows = order[at : at + self.batch]
            x, y = X[rows], Y[rows]
            loss = self.loss(x, y)
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()

    def loss(self, x, y):
        torch, n = self.torch, np.diff(y.indptr)
        log_proba = torch.log_softmax(self.scores(x), dim=1)
        row = torch.from_numpy(np.repeat(np.arange(len(n)), n))
        return self.mean_loss(log_proba[row, torch.from_numpy(y.indices.astype(np.int64))], n)

    def mean_loss(self, picked, n):
        """Of the logarithms of the right labels' probabilities, n of every row."""
        share = self.torch.from_numpy(np.repeat(1 / np.maximum(n, 1), n).astype(np.float32))
        return -(share * picked).sum() / len(n)

    def top(self, X):
        with self.torch.no_grad():
            parts = [self.scores(X[at : at + 256]) for at in range(0, X.shape[0], 256)]
            return np.concatenate([part.topk(TOP, dim=1).indices.numpy() for part in parts])


class TorchSampled(Torch):
    """The labels of the batch and N_RANDOM others, corrected by their chance to be there."""

    N_RANDOM = 2000

    def __init__(self, X, Y, rate, batch, seed):
        super().__init__(X, Y, rate, batch, seed)
        torch = self.torch
        bound = np.sqrt(6 / (HIDDEN + Y.shape[1]))
        self.output = torch.nn.Embedding(Y.shape[1], HIDDEN, sparse=True)
        self.output_bias = torch.nn.Embedding(Y.shape[1], 1, sparse=True)
        torch.nn.init.uniform_(self.output.weight, -bound, bound)
        torch.nn.init.zeros_(self.output_bias.weight)
        rows = [self.embedding.weight, self.output.weight, self.output_bias.weight]
        self.optimizers = [
            torch.optim.SparseAdam(rows, lr=rate),
            torch.optim.Adam([self.bias], lr=rate, fused=True),
        ]
        share = np.bincount(Y.indices, minlength=Y.shape[1]) / X.shape[0]
        absent = (1 - np.minimum(share, 1)) ** batch * (1 - self.N_RANDOM / Y.shape[1])
        self.log_chance = np.log(np.maximum(1 - absent, 1e-6)).astype(np.float32)

    def scores(self, X):
        return self.hidden(X) @ self.output.weight.T + self.output_bias.weight[:, 0]

    def loss(self, x, y):
        torch = self.torch
        n_labels = self.output.weight.shape[0]
        others = self.rng.choice(n_labels, min(self.N_RANDOM, n_labels), replace=False)
        labels = np.union1d(y.indices, others)
        ids = torch.from_numpy(labels.astype(np.int64))
        n = np.diff(y.indptr)
        row, place = np.repeat(np.arange(len(n)), n), np.searchsorted(labels, y.indices)
        corrections = np.tile(self.log_chance[labels], (len(n), 1))
        corrections[row, place] = 0
        scores = self.hidden(x) @ self.output(ids).T + self.output_bias(ids)[:, 0]
        log_proba = torch.log_softmax(scores - torch.from_numpy(corrections), dim=1)
        return self.mean_loss(log_proba[torch.from_numpy(row), torch.from_numpy(place)], n)


@contextmanager
def quiet():
    """Nothing of what a library writes to the terminal."""
    sys.stdout.flush()
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        yield
    finally:
        for stream in (1, 2):
            os.dup2(kept[stream - 1], stream)
            os.close(kept[stream - 1])
        os.close(nowhere)


def trees(X, Y, X_test, Y_test):
    """Parabel of omikuji: seconds of training, precisions."""
    import omikuji

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        kept = np.diff(X.indptr) > 0  # it reads no rows without features
        dump_multilabel(X[kept], Y[kept], path)
        hyper = omikuji.Model.default_hyper_param()
        hyper.n_trees = 3
        start = time.perf_counter()
        with quiet():
            model = omikuji.Model.train_on_data(str(path), hyper)
        seconds = time.perf_counter() - start
    top = []
    for i in range(X_test.shape[0]):
        x = slice(X_test.indptr[i], X_test.indptr[i + 1])
        pairs = list(zip(X_test.indices[x].tolist(), X_test.data[x].tolist(), strict=True))
        found = [label for label, _ in model.predict(pairs, top_k=TOP)]
        # Fewer than asked for: others, which are wrong.
        spare = (j for j in range(Y.shape[1]) if j not in found)
        top.append(found + [next(spare) for _ in range(TOP - len(found))])
    return {"seconds": seconds, "precisions": precisions(Y_test, np.array(top))}
