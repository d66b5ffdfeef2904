"""A fitted network as scikit-learn's own, for all that works on that."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from sklearn_lsh._layer import ACTIVATIONS

# As they are: what scikit-learn's networks have after `fit`, too.
SHARED = (
    "n_features_in_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_",
    "best_loss_", "best_validation_score_",
)  # fmt: skip


def to_sklearn(est):
    check_is_fitted(est)
    network = est._network.at_prediction()
    cls = MLPClassifier if is_classifier(est) else MLPRegressor
    params = {
        name: clone(value, safe=False)
        for name, value in est.get_params(deep=False).items()
        if name in cls._get_param_names()
    }
    params["hidden_layer_sizes"] = tuple(len(layer.b) for layer in network.layers[:-1])
    params["activation"] = activation(network)
    if params["solver"] == "adagrad":
        params["solver"] = "adam"
    if params["learning_rate"] == "linear":
        params["learning_rate"] = "constant"
    if est.out_activation_ == "exp" and "loss" not in params:
        raise ValueError("This version of scikit-learn has no network with loss='poisson'.")
    if not is_classifier(est) and "loss" in params:
        # To go on by: predictions are the same under any loss but "poisson".
        params["loss"] = "poisson" if est.out_activation_ == "exp" else "squared_error"
    model = cls(**params)
    for name in SHARED:
        setattr(model, name, getattr(est, name))
    model.loss_curve_ = list(est.loss_curve_)
    scores = est.validation_scores_
    model.validation_scores_ = None if scores is None else list(scores)
    if hasattr(est, "feature_names_in_"):
        model.feature_names_in_ = est.feature_names_in_.copy()
    if is_classifier(est):
        model._label_binarizer = label_binarizer(est)
        model.classes_ = est.classes_.copy()
    model.coefs_, model.intercepts_ = weights(network)
    # What training goes on from, once it does.
    model._best_coefs = [W.copy() for W in model.coefs_]
    model._best_intercepts = [b.copy() for b in model.intercepts_]
    model._no_improvement_count = 0
    return model


def activation(network):
    """The one activation of all hidden layers."""
    names = {code: name for name, code in ACTIVATIONS.items()}
    found = sorted({names[layer.activation] for layer in network.layers[:-1]})
    if not found:
        return "relu"
    if len(found) > 1 or found[0] == "leaky_relu":
        raise ValueError(
            "scikit-learn's networks have one activation of 'identity', 'logistic', 'tanh' and "
            f"'relu' for all hidden layers; this one has {found}."
        )
    return found[0]


def label_binarizer(est):
    if est.out_activation_ == "identity":
        raise ValueError(
            "scikit-learn's MLPClassifier has probabilities; this network has none "
            "(loss='squared_hinge')."
        )
    if not est._multilabel:
        return LabelBinarizer().fit(est.classes_)
    if est.out_activation_ == "softmax":
        raise ValueError(
            "scikit-learn's MLPClassifier takes every label for itself; this network's labels "
            "compete (loss='softmax')."
        )
    labels = np.eye(2, est.n_outputs_, dtype=int)
    return LabelBinarizer().fit(sp.csr_array(labels) if est._sparse_labels else labels)


def weights(network):
    """Copies of all weights and biases, by which every neuron answers."""
    coefs, share = [], 1.0
    for layer in network.layers:
        # A dropout layer's outputs are scaled by the chance of being kept: its readers are, here.
        coefs.append(np.array(layer.W.T * np.float32(share), order="C"))
        selector = layer.selector
        if selector.adaptive:
            raise ValueError(
                "selector='adaptive_dropout' scales every neuron by a chance that depends on its "
                "input; scikit-learn's networks have no such neurons."
            )
        share = selector.n_kept / selector.n_out if selector.n_kept else 1.0
    return coefs, [layer.b.copy() for layer in network.layers]
