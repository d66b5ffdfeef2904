"""The networks that peers.py compares, behind one interface.

Each is made of a case, a seed and its settings. `train(X, y, n_epochs, score)` gives the seconds of
every epoch, start included, and what `score(predict)` was after it, whose time does not count;
`predict(X)` gives labels or numbers.
"""

import os
import time
from functools import partial
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

ROWS_AT_ONCE = 1024  # of PyTorch's predictions


class Ours:
    """LSHMLPClassifier or LSHMLPRegressor, selector "auto", rate falling over the epochs."""

    candidates = ({},)

    def __init__(self, case, seed, rate, **settings):
        estimator = LSHMLPRegressor if case.regression else LSHMLPClassifier
        self.model = estimator(
            hidden_layer_sizes=case.widths, density=case.density, learning_rate_init=rate,
            random_state=seed, learning_rate="linear", **settings,
        )  # fmt: skip
        self.predict = self.model.predict

    def train(self, X, y, n_epochs, score):
        seconds, scores = [], []
        start = time.perf_counter()

        def after_an_epoch(model, *_):
            nonlocal start
            seconds.append(time.perf_counter() - start)
            scores.append(score(model.predict))
            start = time.perf_counter()
            return scores[-1]

        self.model.set_params(max_iter=n_epochs, scoring=after_an_epoch)
        self.model.fit(X, y, X_val=X[:2], y_val=y[:2])  # that it is asked for a score
        seconds[-1] += time.perf_counter() - start
        return seconds, scores


class EpochByEpoch:
    """`train` of a network that has `epoch(X, y)`, at a constant or a falling rate."""

    def train(self, X, y, n_epochs, score):
        seconds, scores = [], []
        for i in range(n_epochs):
            start = time.perf_counter()
            self.fall(i / n_epochs)
            self.epoch(X, y)
            seconds.append(time.perf_counter() - start)
            scores.append(score(self.predict))
        return seconds, scores

    def fall(self, over):
        """Before an epoch: the share of all that is over."""


class ScikitLearn(EpochByEpoch):
    """MLPClassifier or MLPRegressor: float32, as the data are, in batches of 200."""

    candidates = ({},)

    def __init__(self, case, seed, rate):
        estimator = MLPRegressor if case.regression else MLPClassifier
        self.model = estimator(
            hidden_layer_sizes=case.widths, learning_rate_init=rate, random_state=seed,
            batch_size=200,
        )  # fmt: skip
        self.regression = case.regression
        self.predict = self.model.predict

    def epoch(self, X, y):
        # An epoch of `fit`; calling that anew would lose Adam's moments.
        known = {} if self.regression else {"classes": np.unique(y)}
        self.model.partial_fit(X, y, **known)


class Torch(EpochByEpoch):
    """PyTorch on all cores: fused Adam; EmbeddingBag with SparseAdam above sparse inputs.

    With `falls`, the learning rate falls as ours does.

    Its other weights start as PyTorch draws them; those of an EmbeddingBag, which have no fan-in
    that tells their size, with deviation .1.
    """

    candidates = (
        {"batch": 128, "falls": True}, {"batch": 512, "falls": True},
        {"batch": 512, "falls": False},
    )  # fmt: skip

    def __init__(self, case, seed, rate, batch, falls):
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.manual_seed(seed)
        self.torch, self.case, self.rate, self.batch = torch, case, rate, batch
        self.falls = falls
        self.rng = np.random.default_rng(seed)
        self.layers = None
        self.optimizers = []

    def fall(self, over):
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate * (1 - over * self.falls)

    def start(self, X, y):
        nn = self.torch.nn
        n_outputs = 1 if self.case.regression else int(y.max()) + 1
        sizes = [X.shape[1], *self.case.widths, n_outputs]
        self.embedding = None
        layers, optimizers = [], []
        if sp.issparse(X):
            n_in, n_out, *_ = sizes
            self.embedding = nn.EmbeddingBag(n_in, n_out, mode="sum", sparse=True)
            nn.init.normal_(self.embedding.weight, std=0.1)
            self.bias = nn.Parameter(self.torch.zeros(n_out))
            sizes = sizes[1:]
            rows = self.embedding.parameters()
            optimizers = [self.torch.optim.SparseAdam(rows, lr=self.rate)]
            layers = [nn.ReLU()]
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        dense = list(self.layers.parameters())
        if self.embedding is not None:
            dense.append(self.bias)
        self.optimizers = [*optimizers, self.torch.optim.Adam(dense, lr=self.rate, fused=True)]
        loss = nn.functional
        self.loss = loss.mse_loss if self.case.regression else loss.cross_entropy

    def outputs(self, X):
        """Of some rows of a matrix, CSR or dense."""
        torch = self.torch
        if self.embedding is None:
            x = torch.from_numpy(X)
        else:
            indices, start, values = map(torch.from_numpy, (X.indices, X.indptr[:-1], X.data))
            x = self.embedding(indices, start, per_sample_weights=values) + self.bias
        out = self.layers(x)
        return out[:, 0] if self.case.regression else out

    def epoch(self, X, y):
        if self.layers is None:
            self.start(X, y)
        order = self.rng.permutation(X.shape[0])
        for at in range(0, len(order), self.batch):
            rows = order[at : at + self.batch]
            loss = self.loss(self.outputs(X[rows]), self.torch.from_numpy(y[rows]))
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()

    def predict(self, X):
        with self.torch.inference_mode():
            out = [
                self.outputs(X[at : at + ROWS_AT_ONCE]) for at in range(0, X.shape[0], ROWS_AT_ONCE)
            ]
            out = self.torch.cat(out) if len(out) > 1 else out[0]
            return (out if self.case.regression else out.argmax(dim=1)).numpy()


NETWORKS = {
    "ours": Ours,
    "ours, asynchronous": partial(Ours, asynchronous=True),
    "ours, sgd": partial(Ours, solver="sgd"),
    "ours, sgd without momentum": partial(Ours, solver="sgd", momentum=0.0),
    "scikit-learn": ScikitLearn,
    "PyTorch": Torch,
}


def candidates(name, case):
    """Settings of a network to choose from."""
    made = NETWORKS[name]
    own = getattr(made, "func", made).candidates
    return [{"rate": rate, **settings} for rate in case.rates for settings in own]
