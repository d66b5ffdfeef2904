"""Words and their neighbours in Debian's free texts: the task of word2vec, with very many labels.

A row is a word, one-hot, and its labels are the words within two places of it (Mikolov et al.,
2013). Texts: a dictionary (dict-gcide), WordNet's glosses (wordnet-base), the kernel's
documentation (linux-doc-6.1) and the descriptions of all packages. They are fetched with
``apt-get download``, for their licences (GPL) are not this project's, and cached as numbers.
"""

import gzip
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import _debian_packages, _save, data_dir, run
from numpy.lib.stride_tricks import sliding_window_view
from scipy import sparse

PACKAGES = ("dict-gcide", "wordnet-base", "linux-doc-6.1")
WINDOW = 2
STEPS = [step for step in range(-WINDOW, WINDOW + 1) if step]
# Every so many tokens a stretch of as many is in the test set, and no row crosses into it.
STRETCH, TEST_EVERY = 1000, 100


def _texts():
    """The texts, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = f"cd {folder} && apt-get download {' '.join(PACKAGES)}"
        run("sh", "-c", f"{command} && for f in *.deb; do dpkg-deb -x $f .; done")
        share = folder / "usr" / "share"
        yield gzip.decompress((share / "dictd" / "gcide.dict.dz").read_bytes())
        for path in sorted((share / "wordnet").glob("data.*")):
            yield b" ".join(line.partition(b"|")[2] for line in path.read_bytes().splitlines())
        for path in sorted((share / "doc").glob("linux-doc-6.1/Documentation/**/*")):
            if path.is_file():
                raw = path.read_bytes()
                yield gzip.decompress(raw) if path.suffix == ".gz" else raw
    for text, *_ in _debian_packages():
        yield text.encode()


def _tokens():
    """Numbers of all words in order, the most frequent word first, and how often each occurs."""
    path = data_dir() / "skipgrams.npz"
    if not path.exists():
        words = re.compile(rb"[a-z]+")
        tokens = [word for text in _texts() for word in words.findall(text.lower())]
        counts = Counter(tokens).most_common()
        number = {word: i for i, (word, _) in enumerate(counts)}
        arrays = {
            "tokens": np.array([number[word] for word in tokens], dtype=np.int32),
            "counts": np.array([count for _, count in counts], dtype=np.int64),
        }
        _save(path, lambda file: np.savez_compressed(file, **arrays))
    with np.load(path) as stored:
        return stored["tokens"], stored["counts"]


def skipgrams(min_count, n_train=200_000, n_test=3000):
    """Load words and their neighbours.

    Parameters
    ----------
    min_count : int
        Rarer words are left out of the texts.
    n_train, n_test : int
        Rows, drawn at random.

    Returns
    -------
    X_train : CSR matrix of shape (n_train, n_words), float32
    Y_train : CSR matrix of shape (n_train, n_words), 0 or 1
    X_test, Y_test : CSR matrices
    """
    tokens, counts = _tokens()
    n_words = int(np.sum(counts >= min_count))
    tokens = tokens[tokens < n_words]
    stretch = np.arange(len(tokens)) // STRETCH
    test = stretch % TEST_EVERY == 0
    rng = np.random.default_rng(0)
    matrices = []
    for part, n_rows in ((~test, n_train), (test, n_test)):
        # A row and all of its neighbours are in one set.
        inside = np.flatnonzero(sliding_window_view(part, 2 * WINDOW + 1).all(axis=1)) + WINDOW
        middle = np.sort(rng.choice(inside, n_rows, replace=False))
        near = tokens[middle[:, None] + STEPS].astype(np.int64)
        row, column = np.divmod(np.unique(near + n_words * np.arange(n_rows)[:, None]), n_words)
        for indices, indptr in (
            (tokens[middle], np.arange(n_rows + 1)),
            (column, np.searchsorted(row, np.arange(n_rows + 1))),
        ):
            ones = np.ones(len(indices), dtype=np.float32)
            matrices.append(sparse.csr_matrix((ones, indices, indptr), (n_rows, n_words)))
    return tuple(matrices)
