"""Estimators in files: parameters, fitted attributes, and the trainer with its network."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_lsh._archive import read_archive, write_archive
from sklearn_lsh._attributes import random_state, random_state_of
from sklearn_lsh._losses import Loss
from sklearn_lsh._network import COSTS
from sklearn_lsh._output_selector import OutputSelector
from sklearn_lsh._parameters import BUILT_IN, check_parameters
from sklearn_lsh._schema import anything, choice, fields, flag, integer, items, optional
from sklearn_lsh._state import read_trainer, trainer_state

FORMAT = 1
# What malformed values raise, besides ValueError, where they are used.
MALFORMED = (TypeError, LookupError, AttributeError, OverflowError, RecursionError)


# ---- Values of parameters and attributes ------------------------------------------------------


def encode(value, name):
    """A value as `write_archive` takes it; tagged dicts hold what JSON has not."""
    if value is None or isinstance(value, bool | int) or type(value) is str:
        return value
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        if all(type(text) is str for text in value):
            return {"strings": value.tolist()}
    elif isinstance(value, np.ndarray | np.generic):
        return value
    if isinstance(value, list):
        return [encode(item, name) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, name) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, name), encode(v, name)] for k, v in value.items()]}
    if isinstance(value, np.random.RandomState):
        return {"random_state": random_state_of(value)}
    raise ValueError(f"{name}={value!r:.80} cannot be saved.")


def decode(state, name):
    """The value that `encode` was given."""
    if isinstance(state, np.ndarray):
        return state if state.ndim else state[()]
    if isinstance(state, list):
        return [decode(item, name) for item in state]
    if not isinstance(state, dict):
        return state
    ((tag, content),) = state.items()
    if tag == "float":
        return float(choice({"nan", "inf", "-inf"})(content, name))
    if tag == "random_state":
        return random_state(content, name)
    content = [decode(item, name) for item in items(content, name)]
    if tag == "strings" and all(type(text) is str for text in content):
        return np.array(content, dtype=object)
    if tag == "tuple":
        return tuple(content)
    if tag == "dict":
        return dict(content)
    raise ValueError(f"{name}: unknown value {tag!r:.80}.")


# ---- Fitted attributes ------------------------------------------------------------------------


def real(value, name):
    """A number, NaN and infinities allowed."""
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {value!r:.80}.")
    return value


def curve(value, name):
    return [real(item, name) for item in items(value, name)]


def spent(value, name):
    return fields(value, name, dict.fromkeys(COSTS, integer(0, 2**128)))


def classes(value, name):
    """Labels in ascending order."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.size == 0:
        raise ValueError(f"{name} must be an array of one dimension.")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite.")
    if not np.all(value[:-1] < value[1:]):
        raise ValueError(f"{name} must ascend.")
    return value


HISTORY = {
    "t_": integer(), "n_iter_": integer(), "loss_": real, "best_loss_": optional(real),
    "loss_curve_": curve, "validation_loss_curve_": optional(curve),
    "validation_scores_": optional(curve),
    "best_validation_score_": optional(real), "n_multiplications_": spent,
}  # fmt: skip
FITTED_CLASSIFIER = {"classes_": classes, "_multilabel": flag, "_sparse_labels": flag}
FITTED_REGRESSOR = {"_one_output": flag}


def fitted(cls):
    """Checks of the fitted attributes that do not follow from the network."""
    return HISTORY | (FITTED_CLASSIFIER if is_classifier(cls) else FITTED_REGRESSOR)


def is_classifier(cls):
    return issubclass(cls, ClassifierMixin)


def kind(cls):
    return "classifier" if is_classifier(cls) else "regressor"


# ---- Files ------------------------------------------------------------------------------------


def save_estimator(est, path):
    check_is_fitted(est)
    check_parameters(est)
    if not all(np.isfinite(weights).all() for weights in est.coefs_ + est.intercepts_):
        raise ValueError("The model's weights are not finite; it cannot be saved.")
    params = est.get_params(deep=False)
    del params["checkpoint"]  # no file tells where to write
    write_archive(path, model_state(est, params))


def model_state(est, params):
    """What is fitted, with these parameters, as `write_archive` takes it."""
    shares_random_state = params.get("random_state") is est._random_state
    if shares_random_state:
        params["random_state"] = None
    built_with = {k: v for k, v in est._built_with.items() if k in est._get_param_names()}
    attributes = {name: getattr(est, name) for name in fitted(type(est))}
    names = getattr(est, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "estimator": kind(type(est)),
        "parameters": {name: encode(value, name) for name, value in params.items()},
        "built_with": {name: encode(value, name) for name, value in built_with.items()},
        "fitted": {name: encode(value, name) for name, value in attributes.items()},
        "feature_names": None if names is None else names.tolist(),
        "random_state": random_state_of(est._random_state),
        "shares_random_state": shares_random_state,
        "trainer": trainer_state(est._trainer),
    }


def load_estimator(cls, path):
    state = read_archive(path)
    try:
        return read(cls, state)
    except (ValueError, *MALFORMED) as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error


def read(cls, state):
    """The estimator in a state."""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, which this version reads.")
    if state.get("estimator") != kind(cls):
        raise ValueError(f"{cls.__name__} is no {state.get('estimator')!r:.80}.")
    values = fields(
        state,
        "the file",
        {
            "format": anything, "estimator": anything, "parameters": anything,
            "built_with": anything, "fitted": anything, "feature_names": optional(items),
            "random_state": random_state, "shares_random_state": flag, "trainer": anything,
        },
    )  # fmt: skip
    rng = values["random_state"]
    params = decode_each(values["parameters"])
    if values["shares_random_state"]:
        params["random_state"] = rng
    est = checked(cls, params)
    sizes = [len(layer["b"]) for layer in values["trainer"]["layers"][:-1]]
    built = checked(cls, decode_each(values["built_with"]) | {"hidden_layer_sizes": sizes})
    attributes = fields(decode_each(values["fitted"]), "fitted", fitted(cls))
    for name, value in attributes.items():
        setattr(est, name, value)
    loss, n_outputs = expected(built.loss, attributes)
    loss = Loss(loss, getattr(est, "delta", 1.0))
    est._trainer = read_trainer(values["trainer"], "trainer", built.solver, loss)
    network = est._network
    if not is_classifier(cls) and isinstance(network.layers[-1].selector, OutputSelector):
        raise ValueError("only labels are sampled: a regressor's output must be dense.")
    est.n_features_in_ = network.layers[0].selector.n_in
    est.n_layers_ = len(network.layers) + 1
    est.n_outputs_ = network.layers[-1].selector.n_out
    est.out_activation_ = network.loss.out_activation
    est._built_with = {name: getattr(built, name) for name in BUILT_IN}
    est._random_state = rng
    if n_outputs not in (None, est.n_outputs_):
        raise ValueError(f"the network has {est.n_outputs_} outputs where {n_outputs} belong.")
    names = values["feature_names"]
    if names is not None:
        if len(names) != est.n_features_in_ or any(type(name) is not str for name in names):
            raise ValueError(f"feature_names must be {est.n_features_in_} strings.")
        est.feature_names_in_ = np.array(names, dtype=object)
    return est


def decode_each(values):
    return {name: decode(value, name) for name, value in values.items()}


def checked(cls, params):
    """An estimator with these parameters, which are valid; those not given have their defaults."""
    unknown = set(params) - set(cls._get_param_names()) | {"checkpoint"} & set(params)
    if unknown:
        raise ValueError(f"{cls.__name__} has no parameters {sorted(unknown)[:5]}.")
    est = cls(**params)
    check_parameters(est)
    return est


def expected(loss, attributes):
    """Name of the loss and number of outputs that go with the targets; None: any number."""
    if "classes_" not in attributes:
        return loss, 1 if attributes["_one_output"] else None
    labels = attributes["classes_"]
    if attributes["_multilabel"]:
        if not np.array_equal(labels, np.arange(len(labels))):
            raise ValueError("classes_ of labels must be their numbers.")
        return "binary_log_loss" if loss == "log_loss" else "log_loss", len(labels)
    return ("log_loss", len(labels)) if len(labels) > 2 else ("binary_log_loss", 1)
