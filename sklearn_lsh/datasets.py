"""Files of the extreme classification repository: rows of features and labels, chunk by chunk.

The first line is ``n_samples n_features n_labels``; every other line is a row, its labels parted by
commas, then its features as ``index:value``, ascending, all numbered from 0.
"""

import gzip
import zlib
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from numbers import Integral
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file
from sklearn.utils import check_array, check_consistent_length, check_scalar

from sklearn_lsh._rows import canonical, check_indices

MOST = np.iinfo(np.int32).max  # rows, features and labels

__all__ = ["dump_multilabel", "iter_multilabel", "load_multilabel"]


def load_multilabel(file, *, dtype=np.float32):
    """Load a file of the extreme classification repository [1]_.

    Parameters
    ----------
    file : str, path-like or binary file object
        Read as gzip if a name ends in ".gz".
    dtype : dtype, default=float32
        Of X.

    Returns
    -------
    X : csr_matrix of shape (n_samples, n_features)
    Y : csr_matrix of shape (n_samples, n_labels), int64
        1 for the labels of a row.

    Raises
    ------
    ValueError
        A header that is not three numbers, a row that cannot be read, labels or features out of
        range, out of order or given twice, more or fewer rows than the header says; with the line.
        A dtype other than float32 and float64.
    TypeError
        A file that is open as text.

    See Also
    --------
    iter_multilabel : The same in chunks, for files larger than memory.

    References
    ----------
    .. [1] K. Bhatia, K. Dahiya, H. Jain, P. Kar, A. Mittal, Y. Prabhu, M. Varma. "The extreme
       classification repository: Multi-label datasets and code". 2016.
       http://manikvarma.org/downloads/XC/XMLRepository.html
    """
    _check_dtype(dtype)
    (chunk,) = _chunks(file, None, dtype)
    return chunk


def iter_multilabel(file, chunk_size=10_000, *, dtype=np.float32):
    """Read a file of the extreme classification repository chunk by chunk.

    Parameters
    ----------
    file : str, path-like or binary file object
        Read as gzip if a name ends in ".gz".
    chunk_size : int, default=10000
        Rows of a chunk; the last may have fewer.
    dtype : dtype, default=float32
        Of X.

    Yields
    ------
    X : csr_matrix of shape (n_rows, n_features)
    Y : csr_matrix of shape (n_rows, n_labels), int64

    Raises
    ------
    ValueError
        As `load_multilabel`, when the chunk with the line is reached.

    Examples
    --------
    >>> from io import BytesIO
    >>> from sklearn_lsh.datasets import iter_multilabel
    >>> file = BytesIO(b"3 4 2\\n0,1 0:1.5 3:2\\n1 1:1\\n 2:1\\n")
    >>> for X, Y in iter_multilabel(file, chunk_size=2):
    ...     print(X.shape, Y.toarray().tolist())
    (2, 4) [[1, 1], [0, 1]]
    (1, 4) [[0, 0]]
    """
    check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
    _check_dtype(dtype)
    return _chunks(file, chunk_size, dtype)


def dump_multilabel(X, Y, file):
    """Write rows as a file of the extreme classification repository.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Zeros are left out. Values are written so that they are read again as they are.
    Y : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Indicator: non-zero entries are the labels.
    file : str, path-like or binary file object
        Written as gzip if a name ends in ".gz".

    Raises
    ------
    ValueError
        X or Y that are not finite, too large to be read again, or of different length.
    """
    X, Y = (
        check_array(check_indices(part, name), accept_sparse="csr")
        for part, name in ((X, "X"), (Y, "Y"))
    )
    check_consistent_length(X, Y)
    X, Y = canonical(X, np.int8 if X.dtype == bool else None), canonical(Y)
    for part, name in ((X, "X"), (Y, "Y")):
        if not np.isfinite(part.data).all():
            raise ValueError(f"{name} has entries stored twice whose sum is not finite.")
        if max(part.shape) > MOST:
            raise ValueError(f"{name} may have {MOST} rows and columns at most, not {part.shape}.")
    with _opened(file, "wb") as out:
        out.write(b"%d %d %d\n" % (X.shape[0], X.shape[1], Y.shape[1]))
        for i in range(X.shape[0]):
            at = slice(X.indptr[i], X.indptr[i + 1])
            labels = ",".join(map(str, Y.indices[Y.indptr[i] : Y.indptr[i + 1]].tolist()))
            values = [str(value) for value in X.data[at]]
            pairs = [f"{k}:{v}" for k, v in zip(X.indices[at].tolist(), values, strict=True)]
            out.write(f"{labels} {' '.join(pairs)}\n".encode())


def _check_dtype(dtype):
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")


@contextmanager
def _opened(file, mode):
    if hasattr(file, "read") or hasattr(file, "write"):
        yield file
        return
    path = Path(file)
    with (gzip.open if path.suffix == ".gz" else open)(path, mode) as opened:
        try:
            yield opened
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: no gzip file, or not all of one: {error}.") from None


def _chunks(file, chunk_size, dtype):
    with _opened(file, "rb") as stream:
        name = getattr(stream, "name", "file")
        line = stream.readline()
        if not isinstance(line, bytes):
            raise TypeError(f"{name}: file must be open in binary mode.")
        header = line.split()
        if len(header) != 3 or not all(part.isdigit() for part in header) or header[1] == b"0":
            raise ValueError(
                f"{name}, line 1: expected n_samples, n_features and n_labels, got "
                f"{b' '.join(header)[:60]!r}."
            )
        n_rows, n_features, n_labels = map(int, header)
        if max(n_rows, n_features, n_labels) > MOST:
            raise ValueError(f"{name}, line 1: at most {MOST} of each, got {line[:60]!r}.")
        step = max(1, n_rows) if chunk_size is None else chunk_size
        # The whole of a file without rows is one chunk of none.
        for first in range(0, n_rows if chunk_size else max(1, n_rows), step):
            lines = list(islice(stream, min(step, n_rows - first)))
            done = first + len(lines)
            if done < min(first + step, n_rows):
                raise ValueError(
                    f"{name}, line {done + 2}: the file ends after {done} of {n_rows} rows."
                )
            yield _parse(lines, name, first + 2, n_features, n_labels, dtype)
        for number, line in enumerate(stream):
            if line.strip():
                raise ValueError(
                    f"{name}, line {n_rows + 2 + number}: more rows than the {n_rows} of line 1."
                )


def _parse(lines, name, first, n_features, n_labels, dtype):
    """X and Y of some lines, the first of which has that number."""
    try:
        X, labels = _read(lines, n_features, dtype)
    except (ValueError, OverflowError):
        # Once more, line by line, to tell which.
        for number, line in enumerate(lines, first):
            try:
                _read([line], n_features, dtype)
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{name}, line {number}: {error}") from None
        raise
    row = np.repeat(np.arange(len(lines)), [len(own) for own in labels])
    numbers = np.concatenate([*labels, ()])
    order = np.lexsort([numbers, row])
    twice = np.zeros(len(row), dtype=bool)
    twice[1:] = (np.diff(row[order]) == 0) & (np.diff(numbers[order]) == 0)
    for wrong, what in (
        ((numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= n_labels),
         f"labels are 0 to {n_labels - 1}"),
        (twice[np.argsort(order)], "labels stand once in a row"),
    ):  # fmt: skip
        if wrong.any():
            at = np.flatnonzero(wrong)[0]
            raise ValueError(f"{name}, line {first + row[at]}: {what}, got {numbers[at]:g}.")
    ones = np.ones(len(row), dtype=np.int64)
    shape = len(lines), n_labels
    return X, sp.csr_matrix((ones, (row, numbers.astype(np.int64))), shape)


def _read(lines, n_features, dtype):
    if not lines:
        return sp.csr_matrix((0, n_features), dtype=dtype), []
    if any(b"#" in line or b"qid" in line for line in lines):
        raise ValueError("'#' and 'qid' are not of this format.")
    # The reader passes over empty lines, which are rows here: a zero stands for nothing.
    text = b"".join(line if line.strip() else b"0:0\n" for line in lines)
    X, labels = load_svmlight_file(
        BytesIO(text), n_features=n_features, dtype=dtype, multilabel=True, zero_based=True
    )
    if not np.isfinite(X.data).all():
        raise ValueError("values must be finite.")
    X.eliminate_zeros()
    return X, labels
