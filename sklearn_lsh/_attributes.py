"""What changes in the package's objects after construction: read off, and set again, checked.

Arrays have to have the types and shapes that constructors give them.
"""

from functools import singledispatch

import numpy as np

from sklearn_lsh._coordinates import Coordinates, RawCoordinates
from sklearn_lsh._directions import Directions
from sklearn_lsh._hashing import HashFamily
from sklearn_lsh._optimizers import SGD, Adagrad, Adam, Optimizer
from sklearn_lsh._output_selector import OutputSelector
from sklearn_lsh._rests import LONGEST, Rests
from sklearn_lsh._schema import MOST, array, fields, flag, integer, number, optional
from sklearn_lsh._selectors import (
    LARGEST_CODE,
    SampledSelector,
    Selector,
    SketchSelector,
    TopKSelector,
)
from sklearn_lsh._table_selector import TableSelector
from sklearn_lsh._training import Trainer
from sklearn_lsh._workspace import PANEL

FLOAT, DOUBLE = np.float32, np.float64


def state_of(value):
    """A number or array as it is; of a part, its attributes."""
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, bool | int | float | np.ndarray | np.generic):
        return value
    if isinstance(value, np.random.RandomState):
        return random_state_of(value)
    return {name: state_of(getattr(value, name)) for name in attributes(value)}


def restore(thing, given, name):
    """Set the attributes of a thing that was just constructed."""
    for key, value in fields(given, name, attributes(thing)).items():
        present = getattr(thing, key, None)
        if isinstance(present, np.ndarray):
            present[...] = value  # others may refer to it, and rely on where it starts
        else:
            setattr(thing, key, value)
    return thing


def part(thing):
    """The check of an attribute that is a thing of its own."""
    return lambda given, name: restore(thing, given, name)


def random_state_of(rng):
    state = rng.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise ValueError(f"A RandomState over {state['bit_generator']} cannot be saved.")
    return {**state["state"], "has_gauss": state["has_gauss"], "gauss": state["gauss"]}


def random_state(given, name):
    checks = {
        "key": array(np.uint32, 624), "pos": integer(0, 624), "has_gauss": integer(0, 1),
        "gauss": number(),
    }  # fmt: skip
    values = fields(given, name, checks)
    key = values["key"]
    if not key[1:].any() and key[0] < 2**31:
        raise ValueError(f"{name}.key has no bit set: drawing from it would not end.")
    rng = np.random.RandomState(0)
    rng.set_state(("MT19937", *values.values()))
    return rng


# ---- Checks by class and name ------------------------------------------------------------------


@singledispatch
def attributes(thing):
    """Checks of the attributes that a constructor does not settle."""
    raise ValueError(f"{type(thing).__name__} cannot be saved.")


def order(value, name):
    n = value.size if isinstance(value, np.ndarray) else 0
    return array(np.int64, n, low=0, high=n - 1)(value, name)


def rests(given, name):
    losses = given.get("losses") if isinstance(given, dict) else None
    return restore(Rests(losses.size if isinstance(losses, np.ndarray) else 0), given, name)


def factor(value, name):
    return float(number(1, 2)(value, name))  # small integers of NumPy would overflow


def like(present):
    return array(present.dtype, *present.shape)


@attributes.register
def _(trainer: Trainer):
    return {
        "alpha": number(0), "work": number(1e-9), "rows_per_step": integer(1), "rows": integer(),
        "next_refresh": number(0), "next_look": number(0), "renumbered": integer(),
        "looking": number(0), "streaming": flag, "optimizer": part(trainer.optimizer),
        "order": optional(order), "rests": optional(rests), "settled_tol": number(0, 1),
    }  # fmt: skip


@attributes.register
def _(rests: Rests):
    n = len(rests.losses)
    return {
        "streaks": array(np.int64, n, low=0, high=MOST), "losses": array(DOUBLE, n, finite=False),
        "left": array(np.int64, n, low=0, high=LONGEST),
    }  # fmt: skip


@attributes.register
def _(optimizer: Optimizer):
    checks = {"learning_rate": number(0), "epsilon": number(0), "t": integer()}
    if not isinstance(optimizer, Adagrad):
        checks["beta1"] = number(0, 1)
    if isinstance(optimizer, Adam):
        checks["beta2"] = number(0, 1)
    if isinstance(optimizer, SGD):
        checks["nesterov"] = flag
    return checks


@attributes.register
def _(selector: Selector):
    return {"n_refreshed": integer(0, selector.n_out), "stale": flag}


@attributes.register
def _(selector: TopKSelector):
    mean = {"mean": array(DOUBLE, selector.n_in), "learns": flag}
    return attributes.dispatch(Selector)(selector) | mean


@attributes.register
def _(selector: SampledSelector):
    return attributes.dispatch(Selector)(selector) | {"draw": integer()}


@attributes.register
def _(selector: SketchSelector):
    most = selector.CODE_ZERO * LARGEST_CODE * selector.rank
    return attributes.dispatch(Selector)(selector) | {
        "coordinates": part(selector.coordinates),
        "directions": array(FLOAT, selector.n_in, selector.rank),
        "scales": array(FLOAT, selector.rank), "sketches": like(selector.sketches),
        "sketch_starts": array(np.int32, len(selector.sketch_starts), low=-most, high=most),
        "offsets": like(selector.offsets), "shortlisted": factor,
    }  # fmt: skip


@attributes.register
def _(selector: TableSelector):
    codes = {"low": 0, "high": selector.n_buckets - 1}
    checks = {
        "coordinates": part(selector.coordinates), "family": part(selector.family),
        "n_moved": integer(), "n_moved_at_fit": integer(),
        "shared": array(FLOAT, selector.coordinates.rank), "level": array(FLOAT),
        "shift": array(FLOAT, selector.n_scores),
        "codes": array(np.int32, selector.n_tables, selector.n_out, **codes),
    }  # fmt: skip
    if selector.rows is not None:
        checks["directions"] = array(FLOAT, selector.n_in, selector.rank)
        checks |= {"rows": like(selector.rows), "offsets": like(selector.offsets)}
        checks["shortlisted"] = factor
    if selector.mips:
        checks["largest"] = array(FLOAT)
    return attributes.dispatch(Selector)(selector) | checks


@attributes.register
def _(selector: OutputSelector):
    n = selector.n_out
    return attributes.dispatch(Selector)(selector) | {
        "counts": array(DOUBLE, n), "n_seen": integer(), "log_chance": array(FLOAT, n),
        "most_shared": integer(0, n), "n_random": integer(0, n), "draw": integer(),
    }  # fmt: skip


@attributes.register
def _(coordinates: Coordinates):
    n_in, rank = coordinates.n_in, coordinates.rank
    return {
        "inputs": part(coordinates.inputs), "directions": array(FLOAT, n_in, rank),
        "neuron_directions": array(FLOAT, -(-rank // PANEL), n_in, PANEL),
        "rest": array(FLOAT, n_in),
    }  # fmt: skip


@attributes.register
def _(coordinates: RawCoordinates):
    return {"mean": like(coordinates.mean)}


@attributes.register
def _(directions: Directions):
    return {name: like(getattr(directions, name)) for name in ("mean", "basis", "variances")}


@attributes.register
def _(family: HashFamily):
    checks = {"hyperplanes": like(family.hyperplanes)}
    if family.adapts:
        checks["key_shift"] = array(FLOAT, family.hyperplanes.shape[1])
        checks["rng"] = random_state
    return checks
