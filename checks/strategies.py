"""Inputs for fuzz.py, some of them good: parameters, matrices, targets, weights, files."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

N_FEATURES = 5
# Of no use as any parameter of numbers; strings are not a name of anything.
ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=5), st.binary(max_size=3),
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**70), 3),
    st.lists(st.integers(-1, 3), max_size=3), st.builds(dict), st.builds(object), st.builds(set),
    st.sampled_from([
        1j, np.float32(0.5), np.int8(2), np.array(1), np.array([0.5]), np.array([[1]]), range(3),
        np.datetime64("2020"), len, int, np.nan, np.inf, -np.inf, -0.0, 2**31, 2**63, 10**400,
    ]),
)  # fmt: skip


def half(est, X, y):
    """A score."""
    return 0.5


# What may be large in earnest, and then takes long, is kept small where it is good.
GOOD = {
    "hidden_layer_sizes": [3, (4,), [30], (20, 10), np.array([8, 8]), (1,), (1, 1, 1), []],
    "activation": ["relu", "leaky_relu", "tanh", "logistic", "identity", ["relu"]],
    "solver": ["adam", "sgd", "adagrad", "lbfgs"],
    "alpha": [0, 1e-4, 1.0, 1e10, 1e308],
    "batch_size": ["auto", 1, 7, 1000, 2**62, np.int32(3)],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "learning_rate_init": [1e-3, 1.0, 1e-300, 1e300, 1e6],
    "power_t": [0.5, 0, 1e300],
    "max_iter": [1, 2, 3],
    "shuffle": [True, False],
    "random_state": [0, 2**32 - 1, None],
    "tol": [1e-4, 0, 1e300],
    "warm_start": [True, False],
    "momentum": [0.9, 0, 1],
    "nesterovs_momentum": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 0.5, 0, 0.999, 1e-9],
    "beta_1": [0.9, 0, 0.9999999],
    "beta_2": [0.999, 0, 0.9999999],
    "epsilon": [1e-8, 1e-300, 1e300],
    "n_iter_no_change": [10, 1, np.inf],
    "selector": ["auto", "lsh", "sketch", "topk", "dense", "dropout", "adaptive_dropout",
                 ["lsh", "topk"], ("sketch",)],
    "density": [0.05, 0.3, 1, 1e-300, [0.2], (0.2, 1)],
    "hash_function": ["simhash", "sparse_simhash", "wta", "cross_polytope", "kmeans"],
    "n_hashes": [1, 2, 6, 30],
    "n_tables": [1, 3, 10],
    "n_probes": [1, 10, 10_000, 2**31, 2**70],
    "n_candidates": [None, 1, 10_000, 2**31, 2**70],
    "mips": [True, False],
    "sketch_size": [None, 1, 3, 32, 2**31, 2**70],
    "asynchronous": [True, False],
    "n_threads": [None, 1, 2, 3, -1, -2, 1000, 2**31, -(2**70)],
    "class_weight": [None, "balanced", {0: 2.0}, {0: 0.0, 1: 1e300}, {9: 1.0}, {"a": "b"}],
    "sampled_output": ["auto", True, False],
    "loss": ["log_loss", "softmax", "squared_error", "poisson", "huber", "absolute_error"],
    "delta": [1.0, 1, 1e-300, 1e300],
    "scoring": [None, "loss", "accuracy", "r2", "neg_log_loss", half],
    "checkpoint": [None, "", ".", "/", "none/fit", "fit", b"fit", 7, "\0", "\ud800"],
}  # fmt: skip
LONG = {"max_iter": st.integers(-3, 3)}  # as many epochs as one asks for, however long


def parameters(names, most=4):
    """Up to `most` parameters, good ones and others."""

    def value(name):
        other = LONG.get(name, ODD)
        return st.one_of(st.sampled_from(GOOD.get(name, [False])), other)

    some = st.lists(st.sampled_from(sorted(names)), max_size=most, unique=True)
    return some.flatmap(lambda picked: st.fixed_dictionaries({n: value(n) for n in picked}))


NUMBERS = st.sampled_from(
    [0.0, -0.0, 1.0, -2.5, 0.1, 3e38, -3e38, 1e39, 1e-45, 1e300, np.nan, np.inf, -np.inf]
)  # fmt: skip
TAME = st.floats(-4, 4, width=32)
DTYPES = [
    np.float64, np.float64, np.float32, np.float16, np.int8, np.uint64, bool, object, complex, str,
    "datetime64[s]", "V4",
]  # fmt: skip
CONTAINERS = [
    sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array, sp.lil_matrix, sp.dok_array,
    sp.bsr_array, sp.dia_array,
]  # fmt: skip


@st.composite
def matrices(draw, n_rows=None, n_cols=None):
    """What might be passed as X."""
    rows = n_rows if n_rows is not None and draw(st.integers(0, 9)) else draw(st.integers(0, 12))
    cols = n_cols if n_cols is not None and draw(st.integers(0, 9)) else draw(st.integers(0, 7))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(rows, cols)) * (rng.random((rows, cols)) < 0.6), 2)
    if X.size and not draw(st.integers(0, 3)):
        X.flat[draw(st.integers(0, X.size - 1))] = draw(NUMBERS)
    kind = draw(
        st.sampled_from(["good"] * 4 + ["sparse"] * 4 + ["dtype", "layout", "bad csr", "odd"])
    )
    with np.errstate(all="ignore"):
        if kind == "sparse":
            return draw(st.sampled_from(CONTAINERS))(X)
        if kind == "dtype":
            try:
                return X.astype(draw(st.sampled_from(DTYPES)))
            except (TypeError, ValueError):
                return X
    if kind == "layout":
        return draw(st.sampled_from([
            X.tolist(), X[:, :1].ravel(), X[None], X[:, ::-1], np.asfortranarray(X), X.T, X[::2],
            tuple(map(tuple, X)), np.ma.masked_array(X, X > 0), X.astype(">f8"), iter(X),
            X.tobytes(),
        ]))  # fmt: skip
    if kind == "bad csr":
        return broken_csr(draw, sp.csr_array(X))
    if kind == "odd":
        return draw(ODD)
    return X


def broken_csr(draw, X):
    """Entries out of order, twice, or out of range; wide indices."""
    fault = draw(st.sampled_from(["wide", "unsorted", "twice", "high", "low", "pointers"]))
    if fault == "wide":
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    elif fault == "unsorted":
        X.indices, X.data = X.indices[::-1].copy(), X.data[::-1].copy()
        X = sp.csr_array((X.data, X.indices, np.clip(X.nnz - X.indptr[::-1], 0, X.nnz)), X.shape)
    elif X.nnz and fault == "twice":
        X.indices[:] = X.indices[0]
    elif X.nnz and fault == "high":
        X.indices[-1] = draw(st.sampled_from([X.shape[1], X.shape[1] + 1, 2**31 - 1]))
    elif X.nnz and fault == "low":
        X.indices[0] = draw(st.sampled_from([-1, -(2**31)]))
    elif X.nnz and fault == "pointers" and len(X.indptr) > 2:
        X.indptr[1] = draw(st.sampled_from([-1, X.nnz + 5, 2**31 - 1]))
    return X


@st.composite
def targets(draw, n_rows):
    """What might be passed as y."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    n = n_rows if draw(st.integers(0, 9)) else draw(st.integers(0, 12))
    kind = draw(st.sampled_from(
        ["classes"] * 5 + ["reals"] * 5 + ["names", "labels", "sparse labels", "columns", "one",
        "numbers", "mixed", "odd", "dtype", "column", "broken labels"]
    ))  # fmt: skip
    if kind == "classes":
        return rng.integers(0, 3, size=n)
    if kind == "reals":
        return np.round(rng.normal(size=n), 2)
    if kind == "names":
        return rng.choice(["a", "b", "c"], size=n)
    if kind == "columns":
        return rng.random((n, draw(st.integers(0, 3))))
    if kind == "one":
        return np.full(n, draw(st.sampled_from([0, 1, -1, 2**62, 0.5, "x", None, np.nan])))
    if kind == "numbers":
        y = rng.normal(size=n)
        y[: n // 3] = draw(NUMBERS)
        return y
    if kind == "mixed":
        return [draw(ODD) for _ in range(n)]
    if kind == "dtype":
        with np.errstate(all="ignore"):
            try:
                return rng.integers(0, 3, size=n).astype(draw(st.sampled_from(DTYPES)))
            except (TypeError, ValueError):
                return None
    if kind == "column":
        return rng.integers(0, 2, size=(n, 1))
    if kind == "odd":
        return draw(ODD)
    Y = (rng.random((n, draw(st.integers(0, 5)))) < 0.5).astype(int)
    if Y.size and not draw(st.integers(0, 3)):
        Y.flat[0] = draw(st.sampled_from([2, -1, 1]))
    if kind == "labels":
        return Y
    labels = draw(st.sampled_from(CONTAINERS))(Y)
    return broken_csr(draw, sp.csr_array(Y)) if kind == "broken labels" else labels


@st.composite
def weights(draw, n_rows):
    """What might be passed as sample_weight."""
    good = np.random.default_rng(0).random(n_rows)
    kind = draw(
        st.sampled_from(["none"] * 4 + ["good", "tiny", "number", "zeros", "shape", "dtype", "odd"])
    )
    if kind == "none":
        return None
    if kind == "tiny":
        good[1:] *= draw(st.sampled_from([1e-30, 1e-200, 1e-305]))
    if kind == "number" and n_rows:
        good[draw(st.integers(0, n_rows - 1))] = draw(NUMBERS)
    if kind == "zeros":
        return np.zeros(n_rows)
    if kind == "shape":
        return draw(
            st.sampled_from([good[:-1], good[:, None], good[None], sp.csr_array(good[None])])
        )
    if kind == "dtype":
        return good.astype(draw(st.sampled_from([object, str, complex, np.float16, bool, "V4"])))
    return draw(ODD) if kind == "odd" else good


GOOD_FILE = b"3 4 2\n0,1 0:1.5 3:2\n1 1:1\n 2:1\n"


@st.composite
def files(draw):
    """A file of rows and labels with some bytes changed, left out or put in."""
    text = bytearray(GOOD_FILE)
    pieces = st.sampled_from([
        b"", b"\n", b" ", b",", b":", b"-", b"0", b"9", b".", b"e", b"nan", b"inf", b"#", b"qid:1",
        b"\x00", b"\xff", b"99999999999", b"9" * 25, b"1e400", b"\r\n", b"\t", b"0x1", b"_", b"+1",
        "½".encode(), b"\xef\xbb\xbf", b"4294967296", b"2147483648", b"9223372036854775807",
    ])  # fmt: skip
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 3))] = draw(st.one_of(pieces, st.binary(max_size=3)))
    return bytes(text)


def arrays():
    """Arrays of any kind and shape that hypothesis thinks of."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    kinds = st.one_of(
        hnp.integer_dtypes(),
        hnp.floating_dtypes(),
        hnp.boolean_dtypes(),
        hnp.unicode_string_dtypes(),
    )
    return hnp.arrays(kinds, shapes)
