"""
===========================
Labels from a file in chunks
===========================

A file in the format of the extreme classification repository is read a thousand rows at a time, and
`partial_fit` trains on each chunk: memory holds one chunk, the network, and its solver's state,
whatever the size of the file. For rows with many labels the output layer is sampled: each row is
trained on its own labels and those of the other rows of its batch.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.datasets import dump_multilabel, iter_multilabel, load_multilabel
from sklearn_lsh.metrics import ndcg_at_k, precision_at_k

# %%
# Rows of the features of their labels: three of 5000 labels, of eight features each. Any other
# file of the repository will do: ``python examples/out_of_core.py TRAIN.txt TEST.txt``.


def write(path, n_rows, seed):
    own = sp.random(5000, 8000, density=0.001, format="csr", random_state=np.random.default_rng(0))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5000, size=(n_rows, 3))
    rows = np.repeat(np.arange(n_rows), 3)
    Y = sp.csr_array((np.ones(3 * n_rows), (rows, labels.ravel())), shape=(n_rows, 5000))
    dump_multilabel(Y @ own, Y, path)


if len(sys.argv) == 3:
    train, test = sys.argv[1:]
else:
    folder = Path(tempfile.mkdtemp())
    train, test = folder / "train.txt", folder / "test.txt"
    write(train, 20_000, seed=1)
    write(test, 1_000, seed=2)

# %%
# Train for three passes over the file, and look at the ranking after each.
X_test, Y_test = load_multilabel(test)
model = LSHMLPClassifier(
    (128,), selector="dense", loss="softmax", sampled_output=True, batch_size=128,
    learning_rate_init=4e-3, random_state=0,
)  # fmt: skip
for epoch in range(3):
    done = 0
    for X, Y in iter_multilabel(train, chunk_size=1000):
        model.partial_fit(X, Y, classes=np.arange(Y.shape[1]))
        done += X.shape[0]
        print(f"\repoch {epoch + 1} {'#' * (done // 1000)} {done} rows", end="", flush=True)
    labels, _ = model.predict_top_k(X_test, 5)
    print(
        f"  P@1 {precision_at_k(Y_test, labels, 1):.3f}, "
        f"P@5 {precision_at_k(Y_test, labels):.3f}, nDCG@5 {ndcg_at_k(Y_test, labels):.3f}"
    )
