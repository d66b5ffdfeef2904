"""Parameters of the estimators: what is allowed, and what is built from them."""

import os
import sys
from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

from sklearn_lsh._hashing import HASH_FAMILIES, MOST_PROBES
from sklearn_lsh._layer import ACTIVATIONS, TWO_SIDED, Layer
from sklearn_lsh._network import Network
from sklearn_lsh._optimizers import SGD, Adagrad, Adam
from sklearn_lsh._output_selector import make_output_selector, samples
from sklearn_lsh._selection import make_selector
from sklearn_lsh._selectors import SHORTLISTED, SHORTLISTED_ABOVE_ACTIVE
from sklearn_lsh._table_selector import MAX_TABLE_BYTES

SELECTORS = {"auto", "lsh", "sketch", "topk", "dense", "dropout", "adaptive_dropout"}
# Parameters that a network is built by, and keeps.
BUILT_IN = (
    "activation", "solver", "selector", "density", "hash_function", "n_hashes", "n_tables",
    "n_probes", "n_candidates", "mips", "sketch_size", "sampled_output", "loss",
)  # fmt: skip
PROCESS = os.getpid()
SETTLED_TOL = 0.01  # of settled_tol="auto"
MAX_NEURONS = 2**30  # kernels number them by 32 bits
MAX_THREADS = 1024  # OpenMP ends the process where it cannot start as many as were asked for


def positive_integer():
    return Interval(Integral, 1, None, closed="left")


CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", positive_integer()],
    "activation": [StrOptions(set(ACTIVATIONS)), list, tuple],
    "solver": [StrOptions({"adam", "sgd", "adagrad"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), positive_integer()],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "linear"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [positive_integer()],
    "shuffle": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [positive_integer(), Options(Real, {np.inf})],
    "selector": [StrOptions(SELECTORS), list, tuple],
    "density": [Interval(Real, 0, 1, closed="right"), list, tuple],
    "hash_function": [StrOptions(set(HASH_FAMILIES))],
    "n_hashes": [Interval(Integral, 1, 30, closed="both")],
    "n_tables": [positive_integer()],
    "n_probes": [Interval(Integral, 1, MOST_PROBES, closed="both")],
    "n_candidates": [positive_integer(), None],
    "mips": ["boolean"],
    "sketch_size": [positive_integer(), None],
    "asynchronous": ["boolean"],
    "checkpoint": [str, os.PathLike, None],
    "n_threads": [Interval(Integral, None, MAX_THREADS, closed="right"), None],
    "random_state": ["random_state"],
}


def built_in(cls):
    """Names of the parameters that networks of a class are built by."""
    return [name for name in BUILT_IN if name in cls._parameter_constraints]


def check_parameters(est):
    """Raise ValueError for what scikit-learn's constraints cannot state, and for those."""
    if isinstance(est.solver, str) and est.solver == "lbfgs":
        raise ValueError(
            "solver='lbfgs' is not offered: it takes full-batch steps along a line, and active "
            "sets change with every step; use a stochastic solver: 'adam', 'sgd' or 'adagrad'."
        )
    est._validate_params()
    thread_count(est)
    for name in ("alpha", "learning_rate_init", "power_t", "tol", "epsilon", "delta"):
        value = getattr(est, name, 0)
        if isinstance(value, Integral) and value > sys.float_info.max:
            raise ValueError(f"{name} is larger than a float can be.")
    for name in ("beta_1", "beta_2"):
        if np.float32(getattr(est, name)) == 1:
            raise ValueError(f"{name}={getattr(est, name)!r} is 1 in single precision.")
    sizes = hidden_layer_sizes(est)
    allowed = {
        "selector": (SELECTORS.__contains__, f"one of {sorted(SELECTORS)}"),
        "activation": (ACTIVATIONS.__contains__, f"one of {sorted(ACTIVATIONS)}"),
        "density": (lambda v: isinstance(v, Real) and 0 < v <= 1, "in (0, 1]"),
    }
    for name, (accepts, described) in allowed.items():
        values = per_layer(est, name)
        if len(values) != len(sizes):
            raise ValueError(
                f"{name} lists {len(values)} values for {len(sizes)} hidden layers "
                f"(hidden_layer_sizes={est.hidden_layer_sizes!r})."
            )
        for value in values:
            if not accepts(value):
                raise ValueError(f"{name} must be {described} in every layer, got {value!r}.")
    sampled = {"dropout", "adaptive_dropout"} & set(per_layer(est, "selector"))
    if est.asynchronous and sampled:
        raise ValueError(
            f"selector={sampled.pop()!r} draws a set for every row of a batch; it does not train "
            "with asynchronous=True."
        )
    bits = int(est.n_hashes) * HASH_FAMILIES[est.hash_function].bits()
    size = 4 * int(est.n_tables) * (2**bits + 1)
    if "lsh" in per_layer(est, "selector") and size > MAX_TABLE_BYTES:
        raise ValueError(
            f"n_hashes={est.n_hashes} with n_tables={est.n_tables} and hash_function="
            f"{est.hash_function!r} needs {size / 2**20:.0f} MiB a layer for bucket offsets alone; "
            f"{MAX_TABLE_BYTES // 2**20} MiB is the limit."
        )


def settled_tol(est, network):
    """What `settled_tol` stands for: networks of which every neuron is active learn from all."""
    if est.settled_tol != "auto":
        return float(est.settled_tol)
    selects = any(not layer.selector.is_dense for layer in network.layers[:-1])
    return SETTLED_TOL if selects else 0.0


def thread_count(est):
    """OpenMP threads that n_threads stands for, which prediction goes by as well.

    One in a process that was forked: GNU OpenMP would wait for the threads of its parent.
    """
    if est.n_threads is not None:
        constraint = {"n_threads": CONSTRAINTS["n_threads"]}
        validate_parameter_constraints(constraint, {"n_threads": est.n_threads}, type(est).__name__)
    n_threads = int(_openmp_effective_n_threads(est.n_threads))  # refuses 0
    return n_threads if os.getpid() == PROCESS else 1


def hidden_layer_sizes(est):
    """The parameter as a list of integers."""
    sizes = est.hidden_layer_sizes
    sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if any(not isinstance(n, Integral) or not 1 <= n <= MAX_NEURONS for n in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be positive integers up to 2**30, got "
            f"{est.hidden_layer_sizes!r}."
        )
    return [int(n) for n in sizes]


def per_layer(est, name):
    """A parameter's value for every hidden layer."""
    value = getattr(est, name)
    if isinstance(value, list | tuple):
        return list(value)
    return [value] * len(hidden_layer_sizes(est))


def make_optimizer(est):
    if est.solver == "adam":
        return Adam(est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)
    if est.solver == "sgd":
        return SGD(est.learning_rate_init, est.momentum, est.nesterovs_momentum)
    return Adagrad(est.learning_rate_init, est.epsilon)


def make_network(est, n_in, n_outputs, loss, n_entries, sparse, rng):
    """A network at its random start.

    n_entries : mean number of entries of an input row. sparse : whether rows are stored so.
    """
    layers, factor = [], 2.0 if est.activation == "logistic" else 6.0
    chained = []  # layers that select among what selected inputs tell
    # Sums and products of small integer types of NumPy would overflow.
    names = ("sketch_size", "n_hashes", "n_tables", "n_probes", "n_candidates")
    counts = {name: getattr(est, name) and int(getattr(est, name)) for name in names}
    values = [per_layer(est, name) for name in ("selector", "density", "activation")]
    for n_out, name, density, activation in zip(hidden_layer_sizes(est), *values, strict=True):
        above_active_set = bool(layers) and not layers[-1].selector.at_prediction().is_dense
        from_csr = not layers and sparse
        shortlisted = SHORTLISTED_ABOVE_ACTIVE if above_active_set else SHORTLISTED
        selector = make_selector(
            name,
            n_in,
            n_out,
            max(1, round(density * n_out)),
            n_entries,
            sparse,
            from_csr=from_csr,
            by_magnitude=activation in TWO_SIDED,
            # Not drawn from rng: weights and batches then are those of scikit-learn's MLP.
            seed=len(layers),
            hash_function=est.hash_function,
            mips=est.mips,
            # An exact choice leaves too many neurons untrained there (docs/design.md, Selectors).
            shortlisted=1.0 if from_csr else shortlisted,
            **counts,
        )
        by_input = from_csr and selector.is_dense
        # The output's bound, too, goes by the activation below, as in scikit-learn.
        factor = 2.0 if activation == "logistic" else 6.0
        # Of very many features a row has few. Elsewhere weights start as in scikit-learn.
        fan_in = n_entries if by_input and samples(est.sampled_output, n_outputs) else None
        layers.append(
            Layer.glorot(n_in, n_out, activation, selector, rng, by_input, factor, fan_in)
        )
        if above_active_set and selector.learns:
            chained.append(layers[-1])
        n_in, n_entries, sparse = n_out, selector.n_active, not selector.is_dense
    if len(chained) > 1:
        for layer in chained:
            layer.start_as_copy()
    selector = make_output_selector(est.sampled_output, n_in, n_outputs)
    output = Layer.glorot(n_in, n_outputs, "identity", selector, rng, factor=factor)
    if loss.name == "squared_hinge" and n_outputs > 1:
        output.b[:] = -1  # most rows have few of the labels; the first steps would be about that
    return Network([*layers, output], loss)
