"""The functions of `inspection`: numbers from a forward pass of a fitted network."""

from copy import copy

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from sklearn_lsh._base import BaseLSHMLP
from sklearn_lsh._network import COSTS, Network
from sklearn_lsh._selectors import DenseSelector, TopKSelector
from sklearn_lsh._workspace import Workspace, widest


def selection_recall(est, X):
    """How much of the exact active set, and of the activation, each hidden layer selects.

    A layer's exact active set for a row holds the `n_active` neurons of largest pre-activation, of
    largest absolute pre-activation under the activations "tanh" and "identity". The inputs of a
    layer are those the network computes, with the selectors of the layers below. Shares are taken
    of sums over all rows.

    Parameters
    ----------
    est : LSHMLPClassifier or LSHMLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Returns
    -------
    dict of ndarray of shape (n_hidden_layers,), float64
        - ``"recall"``: neurons selected that are in the exact active set, as a share of that set.
        - ``"mass"``: sum of the absolute activations of the neurons selected, as a share of the
          sum over all neurons for the same inputs.
        - ``"exact_mass"``: the same share for the exact active set: the most that any selection of
          this size captures under "relu", "tanh" and "identity".

        All three are 1 for a dense layer, and masses are 1 where every activation is zero.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X would be refused by `predict`.

    See Also
    --------
    SelectionRecallDisplay : The picture.
    """
    layers = fitted_layers(est)[:-1]
    hits, exact_size, mass, exact_mass, full_mass = np.zeros((5, len(layers)))
    probes = [None if layer.selector.is_dense else _probes(layer) for layer in layers]
    for flow, workspace in _batches(est, X):
        for depth, (inputs, active, probe) in enumerate(zip(flow, flow[1:], probes, strict=False)):
            if probe is None:
                continue
            exact, full = (_outputs(layer, inputs, workspace.n_threads) for layer in probe)
            active = abs(active.to_csr())
            exact = abs(exact.to_csr())
            hits[depth] += _pattern(active).multiply(_pattern(exact)).sum()
            exact_size[depth] += exact.nnz
            mass[depth] += active.data.sum(dtype=np.float64)
            exact_mass[depth] += exact.data.sum(dtype=np.float64)
            full_mass[depth] += np.abs(full.to_matrix()).sum(dtype=np.float64)
    return {
        "recall": _share(hits, exact_size),
        "mass": _share(mass, full_mass),
        "exact_mass": _share(exact_mass, full_mass),
    }


def active_sets(est, X):
    """Neurons computed for every row, and their activations.

    Parameters
    ----------
    est : LSHMLPClassifier or LSHMLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Returns
    -------
    list of csr_matrix of shape (n_samples, n_neurons), float32
        One a hidden layer. Stored entries are the active neurons, in ascending order, and their
        activations, stored also where they are zero; a dense layer stores all of its neurons.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X would be refused by `predict`.

    See Also
    --------
    neuron_usage : How often every neuron is active.
    """
    batches = [[out.to_csr() for out in flow[1:-1]] for flow, _ in _batches(est, X)]
    return [sp.vstack(pieces, format="csr") for pieces in zip(*batches, strict=True)]


def neuron_usage(est, X):
    """How often every hidden neuron is active.

    Parameters
    ----------
    est : LSHMLPClassifier or LSHMLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Returns
    -------
    list of ndarray of shape (n_neurons,), float64
        One a hidden layer: the share of rows in whose active set a neuron is. It is 0 for neurons
        that no row selects and 1 for those of a dense layer.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X would be refused by `predict`.

    See Also
    --------
    active_sets : The active sets themselves, which take memory for every row.
    ActiveSetDisplay : The picture.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_lsh import LSHMLPClassifier
    >>> from sklearn_lsh.inspection import neuron_usage
    >>> X, y = load_digits(return_X_y=True)
    >>> est = LSHMLPClassifier((200,), selector="sketch", density=0.05, max_iter=15, random_state=0)
    >>> (usage,) = neuron_usage(est.fit(X / 16, y), X / 16)
    >>> print(f"{usage.sum():.1f}")  # active neurons of a row, on average
    10.0
    """
    counts = [np.zeros(layer.W.shape[0], dtype=np.int64) for layer in fitted_layers(est)[:-1]]
    n_rows = 0
    for (inputs, *outputs), _ in _batches(est, X):
        n_rows += len(inputs)
        for count, out in zip(counts, outputs, strict=False):
            count += out.column_counts()
    return [count / n_rows for count in counts]


def prediction_cost(est, X):
    """Multiplications of predicting the rows of X.

    Parameters
    ----------
    est : LSHMLPClassifier or LSHMLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)

    Returns
    -------
    dict of int
        - ``"forward"``: weights of hidden neurons used, summed over rows.
        - ``"hashing"``: turning inputs into buckets of hash tables.
        - ``"ranking"``: scoring neurons to choose from, and pre-activations of those that are not
          kept, unless whole matrices have them in ``"forward"``.
        - ``"output"``: weights of the output layer used.
        - ``"dense"``: what the same rows would cost with every neuron active; the others are parts
          of this network's cost, this one is not.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X would be refused by `predict`.

    See Also
    --------
    MultiplicationsDisplay : The picture.
    """
    spent = dict.fromkeys(COSTS, 0)
    for (inputs, *_), _ in _batches(est, X, spent):
        for depth, layer in enumerate(fitted_layers(est)):
            n_out, n_in = layer.W.shape
            spent["dense"] += n_out * (len(inputs) * n_in if depth else inputs.n_entries)
    return {kind: spent[kind] for kind in ("forward", "hashing", "ranking", "output", "dense")}


def fitted_layers(est):
    """Layers of the network, the output layer last; refuses what is no fitted network."""
    if not isinstance(est, BaseLSHMLP):
        raise TypeError(
            f"expected a fitted LSHMLPClassifier or LSHMLPRegressor, got {type(est).__name__}; of "
            "a pipeline, pass the last step and the data that reach it."
        )
    check_is_fitted(est)
    return est._network.at_prediction().layers


def _batches(est, X, spent=None):
    """Inputs of every layer and the scores, batch by batch, and the workspace they live in."""
    layers = fitted_layers(est)
    # Recall is told from all neurons' activations.
    n_held = max(widest(layers), *(layer.W.shape[0] for layer in layers))
    network = est._network.at_prediction()
    for _, x, workspace in est._slices(est._rows(X), network, n_held):
        yield network.forward(x, workspace, spent), workspace


def _probes(layer):
    """The layer with the exact selector, and with every neuron active; weights are shared."""
    exact, full, selector = copy(layer), copy(layer), layer.selector
    exact.selector = TopKSelector(
        selector.n_in, selector.n_out, selector.n_active, selector.by_magnitude
    )
    full.selector = DenseSelector(selector.n_in, selector.n_out)
    return exact, full


def _outputs(layer, inputs, n_threads):
    """Output of a layer on its own."""
    workspace = Workspace([layer], len(inputs), n_threads, training=False)
    return Network([layer], None).forward(inputs, workspace, None)[-1]


def _pattern(matrix):
    """The same entries, all 1: a stored activation may be 0."""
    return sp.csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), matrix.shape)


def _share(part, whole):
    return np.divide(part, whole, out=np.ones_like(part), where=whole > 0)
