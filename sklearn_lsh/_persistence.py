"""Estimators in files: parameters, fitted attributes, and the trainer with its network."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from sklearn_lsh._archive import read_archive, write_archive
from sklearn_lsh._attributes import random_state, random_state_of
from sklearn_lsh._losses import Loss, classifier_loss
from sklearn_lsh._network import COSTS
from sklearn_lsh._output_selector import OutputSelector
from sklearn_lsh._parameters import built_in, check_parameters
from sklearn_lsh._schema import (
    anything,
    choice,
    fields,
    flag,
    integer,
    items,
    optional,
    refusing,
)
from sklearn_lsh._state import read_trainer, trainer_state

FORMAT = 4


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
    params.pop("checkpoint", None)  # no file tells where to write
    shares_random_state = params.get("random_state") is est._random_state
    if shares_random_state:
        params["random_state"] = None
    state = {
        "format": FORMAT,
        "estimator": kind(type(est)),
        "parameters": encode_each(params),
        "shares_random_state": shares_random_state,
        "model": model_state(est),
    }
    write_archive(path, state)


def load_estimator(cls, path):
    state = read_archive(path)
    with refusing(f"{path} cannot be loaded"):
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}, which this version reads.")
        if state.get("estimator") != kind(cls):
            raise ValueError(f"{cls.__name__} is no {state.get('estimator')!r:.80}.")
        checks = {
            "format": anything, "estimator": anything, "parameters": anything,
            "shares_random_state": flag, "model": anything,
        }  # fmt: skip
        values = fields(state, "the file", checks)
        model = read_model(cls, values["model"])
        params = decode_each(values["parameters"])
        if values["shares_random_state"]:
            params["random_state"] = model["_random_state"]
        unknown = set(params) - (set(cls._get_param_names()) - {"checkpoint"})
        if unknown:
            raise ValueError(f"{cls.__name__} has no parameters {sorted(unknown)[:5]}.")
        est = cls(**params)
        check_parameters(est)
        vars(est).update(model)
    return est


# ---- What is fitted ---------------------------------------------------------------------------


def model_state(est):
    """All that `fit` has set, as `write_archive` takes it."""
    names = getattr(est, "feature_names_in_", None)
    return {
        "built_with": encode_each(est._built_with),
        "fitted": encode_each({name: getattr(est, name) for name in fitted(type(est))}),
        "feature_names": None if names is None else names.tolist(),
        "random_state": random_state_of(est._random_state),
        "trainer": trainer_state(est._trainer),
    }


def read_model(cls, state):
    """The attributes in a state; of what estimators of a class have when they are fitted."""
    checks = {
        "built_with": anything, "fitted": anything, "feature_names": optional(items),
        "random_state": random_state, "trainer": anything,
    }  # fmt: skip
    values = fields(state, "the model", checks)
    built_with = read_built_with(cls, values["built_with"])
    attributes = fields(decode_each(values["fitted"]), "fitted", fitted(cls))
    loss, n_outputs = expected(built_with["loss"], attributes)
    trainer = read_trainer(values["trainer"], "trainer", built_with["solver"], Loss(loss))
    layers = trainer.network.layers
    if not is_classifier(cls) and isinstance(layers[-1].selector, OutputSelector):
        raise ValueError("only labels are sampled: a regressor's output must be dense.")
    n_in, n_out = layers[0].selector.n_in, layers[-1].selector.n_out
    if n_outputs not in (None, n_out):
        raise ValueError(f"the network has {n_out} outputs where {n_outputs} belong.")
    names = values["feature_names"]
    if names is not None:
        if len(names) != n_in or any(type(name) is not str for name in names):
            raise ValueError(f"feature_names must be {n_in} strings.")
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes | {
        "_built_with": built_with,
        "_random_state": values["random_state"],
        "_trainer": trainer,
        "n_features_in_": n_in,
        "n_layers_": len(layers) + 1,
        "n_outputs_": n_out,
        "out_activation_": trainer.network.loss.out_activation,
    }


def read_built_with(cls, state):
    """Parameters that the network was built by, each of a value that it may have."""
    allowed = {name: cls._parameter_constraints[name] for name in built_in(cls)}
    values = fields(decode_each(state), "built_with", dict.fromkeys(allowed, anything))
    validate_parameter_constraints(allowed, values, "built_with")
    return values


def encode_each(values):
    return {name: encode(value, name) for name, value in values.items()}


def decode_each(values):
    return {name: decode(value, name) for name, value in values.items()}


def expected(loss, attributes):
    """Name of the loss and number of outputs that go with the targets; None: any number."""
    if "classes_" not in attributes:
        return loss, 1 if attributes["_one_output"] else None
    labels, multilabel = attributes["classes_"], attributes["_multilabel"]
    if multilabel:
        if not np.array_equal(labels, np.arange(len(labels))):
            raise ValueError("classes_ of labels must be their numbers.")
    n_outputs = len(labels) if multilabel or len(labels) > 2 else 1
    return classifier_loss(loss, len(labels), multilabel), n_outputs
