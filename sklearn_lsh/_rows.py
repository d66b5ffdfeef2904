"""Rows: a batch of inputs, activations or deltas, dense or sparse."""

import numpy as np
import scipy.sparse as sp

LINE = 8  # columns of a dense row that may be blank together, as in _kernels/simd.h
CACHE_LINE = 16  # floats
# Floats in 4 MiB: two huge pages.
HUGE = 2**20


def aligned_zeros(size):
    """Zeros of float32 that begin on a cache line; from half a megabyte on, on a huge page."""
    page = HUGE // 2 if size > HUGE // 8 else CACHE_LINE
    # From HUGE on, NumPy asks for huge pages: rows picked at random then miss the TLB far less.
    buffer = np.zeros(max(size + page, HUGE if page > CACHE_LINE else 0), dtype=np.float32)
    first = -(buffer.ctypes.data // 4) % page
    return buffer[first : first + size]


def check_indices(X, name):
    """Refuse a sparse matrix that points outside of itself: SciPy and the kernels trust it."""
    if sp.issparse(X) and not points_inside(X):
        raise ValueError(f"{name} is no valid sparse matrix: indices or indptr are out of range.")
    return X


def canonical(X, dtype=None):
    """A copy as CSR: entries that are not zero, in order; those stored twice are summed."""
    X = sp.csr_array(X, dtype=dtype, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def points_inside(X):
    if X.format == "coo":
        return in_range(X.row, X.shape[0]) and in_range(X.col, X.shape[1])
    if X.format == "lil":
        return all(in_range(row, X.shape[1]) for row in X.rows)
    if X.format not in ("csr", "csc", "bsr"):
        return True
    block = X.blocksize if X.format == "bsr" else (1, 1)
    shape = [n // size for n, size in zip(X.shape, block, strict=True)]
    n_rows, n_cols = shape[::-1] if X.format == "csc" else shape
    return (
        len(X.indptr) == n_rows + 1
        and X.indptr[0] == 0
        and not np.any(np.diff(X.indptr) < 0)
        and X.indptr[-1] <= min(len(X.indices), len(X.data))
        and in_range(X.indices[: X.indptr[-1]], n_cols)
    )


def in_range(indices, n):
    return len(indices) == 0 or (np.min(indices) >= 0 and np.max(indices) < n)


def padded(capacity):
    """Floats from one row to the next where rows have cache lines of their own."""
    return -(-capacity // 32) * 32


class Rows:
    """Rows over shared storage.

    Row i holds ``length[i]`` entries from offset ``start[i]`` of `values`; their columns stand at
    the same place in `indices`, or are 0, 1, 2, ... when `indices` is None. A shuffled batch of a
    dense or a CSR matrix is therefore a view: only `start` and `length` are taken.

    Dense rows that kernels compute with begin on cache lines and are kept by lines of `LINE`
    columns: those that are zero throughout may be left out. Side by side stand `n_lines[i]` others,
    whose first columns are in `lines` from ``start[i] / LINE`` on, and then the last
    ``n_cols % LINE`` columns.

    Parameters
    ----------
    start : ndarray of shape (n_rows,), int64
    length : ndarray of shape (n_rows,), int32
    indices : ndarray, int32, or None
    values : ndarray, float32
    n_cols : int
    lines : ndarray, int32, or None
    n_lines : ndarray of shape (n_rows,), int32, or None
    """

    __slots__ = ("indices", "length", "lines", "n_cols", "n_lines", "start", "values")

    def __init__(self, start, length, indices, values, n_cols, lines=None, n_lines=None):
        self.start = start
        self.length = length
        self.indices = indices
        self.values = values
        self.n_cols = n_cols
        self.lines = lines
        self.n_lines = n_lines

    @classmethod
    def from_matrix(cls, X):
        """View a float32 matrix, C-contiguous or CSR (whose indices become int32)."""
        n_rows, n_cols = X.shape
        if sp.issparse(X):
            if not X.has_canonical_format:
                # Kernels meet a column once in a row.
                X = X.copy()
                X.sum_duplicates()
            indptr = np.asarray(X.indptr, dtype=np.int64)
            # Kernels tell dense rows by the lack of indices: none stored is still sparse.
            spare = np.zeros(1)
            return cls(
                indptr[:-1].copy(),
                np.diff(indptr).astype(np.int32),
                np.asarray(X.indices if X.nnz else spare, dtype=np.int32),
                np.asarray(X.data if X.nnz else spare, dtype=np.float32),
                n_cols,
            )
        values = np.ascontiguousarray(X, dtype=np.float32).reshape(-1)
        length = np.empty(n_rows, dtype=np.int32)
        length.fill(n_cols)
        return cls(np.arange(n_rows, dtype=np.int64) * n_cols, length, None, values, n_cols)

    @classmethod
    def one_hot(cls, codes, n_cols):
        """A single 1 in every row, in column `codes`."""
        n_rows = len(codes)
        return cls(
            np.arange(n_rows, dtype=np.int64),
            np.ones(n_rows, dtype=np.int32),
            codes.astype(np.int32),
            np.ones(n_rows, dtype=np.float32),
            n_cols,
        )

    @classmethod
    def allocate(cls, n_rows, capacity, n_cols, sparse):
        """Room for `capacity` entries a row, rows on cache lines of their own."""
        stride = padded(capacity)
        start = np.arange(n_rows, dtype=np.int64) * stride
        values = aligned_zeros(n_rows * stride)
        if sparse:
            length = np.zeros(n_rows, dtype=np.int32)
            return cls(start, length, np.zeros(n_rows * stride, dtype=np.int32), values, n_cols)
        length = np.full(n_rows, n_cols, dtype=np.int32)
        lines = np.tile(np.arange(0, stride, LINE, dtype=np.int32), n_rows)
        n_lines = np.full(n_rows, n_cols // LINE, dtype=np.int32)
        return cls(start, length, None, values, n_cols, lines, n_lines)

    def __len__(self):
        return len(self.start)

    @property
    def n_entries(self):
        if self.indices is None:
            return len(self) * self.n_cols
        return int(self.length.sum(dtype=np.int64))

    def column_counts(self):
        """In how many rows every column has an entry, int64 (n_cols,)."""
        if self.indices is None:
            return np.full(self.n_cols, len(self))
        return np.bincount(self.indices[self.places()], minlength=self.n_cols)

    def expected_columns(self, n_rows):
        """Mean number of columns in which `n_rows` of these rows, drawn at random, have entries."""
        if self.indices is None:
            return self.n_cols
        share = self.column_counts() / len(self)
        return round(np.sum(1 - (1 - np.minimum(share, 1)) ** n_rows))

    def take(self, rows):
        """View of some rows: an index array or a slice."""
        n_lines = None if self.n_lines is None else self.n_lines[rows]
        return Rows(
            self.start[rows], self.length[rows], self.indices, self.values, self.n_cols,
            self.lines, n_lines,
        )  # fmt: skip

    def like(self):
        """The same rows and columns with values of their own."""
        return Rows(
            self.start, self.length, self.indices, np.zeros_like(self.values), self.n_cols,
            self.lines, self.n_lines,
        )  # fmt: skip

    def places(self):
        """Where the entries stand, row after row: a slice if no gap is between rows."""
        before = np.cumsum(self.length, dtype=np.int64) - self.length
        first = self.start[:1].sum()
        if np.array_equal(self.start, first + before):
            return slice(first, first + self.length.sum(dtype=np.int64))
        places = np.repeat(self.start - before, self.length)
        places += np.arange(len(places))
        return places

    def to_csr(self):
        """Copy as CSR, stored entries as they are (a dense row stores all of its columns)."""
        indptr = np.concatenate([[0], np.cumsum(self.length, dtype=np.int64)])
        shape, is_view = (len(self), self.n_cols), False
        if self.indices is None:
            values = self.to_matrix().reshape(-1)
            indices = np.tile(np.arange(self.n_cols), len(self))
        else:
            places = self.places()
            values, indices = self.values[places], self.indices[places]
            is_view = isinstance(places, slice)
        return sp.csr_matrix((values, indices, indptr), shape=shape, copy=is_view)

    def to_matrix(self):
        """Copy as float32: an array when dense, CSR when sparse."""
        if self.indices is not None:
            return self.to_csr()
        tail = self.n_cols % LINE
        if self.lines is None or self.n_lines.min(initial=self.n_cols) >= self.n_cols // LINE:
            stride = self.n_cols if self.lines is None else padded(self.n_cols)
            return self.values.reshape(-1, stride)[self.start // stride, : self.n_cols]
        X = np.zeros((len(self), self.n_cols), dtype=np.float32)
        ends = np.cumsum(self.n_lines)
        row = np.repeat(np.arange(len(self)), self.n_lines)
        at = self.start[row] + LINE * (np.arange(len(row)) - (ends - self.n_lines)[row])
        within = np.arange(LINE)
        X[row[:, None], self.lines[at // LINE, None] + within] = self.values[at[:, None] + within]
        at = self.start + LINE * self.n_lines
        X[:, self.n_cols - tail :] = self.values[at[:, None] + within[:tail]]
        return X


def stack(pieces):
    """One matrix on top of another, dense or CSR."""
    if len(pieces) == 1:
        return pieces[0]
    return sp.vstack(pieces, format="csr") if sp.issparse(pieces[0]) else np.concatenate(pieces)
