"""A trainer and its network, at any step, as numbers and arrays; and back, everything checked.

Layers and selectors are built anew by their constructors, from arguments that are checked, and
then get what changes. What kernels take for indices is derived again (probes, tables, lists of
entries), so that no file can lead them astray.
"""

import numpy as np

from sklearn_lsh._attributes import restore, state_of
from sklearn_lsh._coordinates import RawCoordinates
from sklearn_lsh._hashing import HASH_FAMILIES, MOST_PROBES
from sklearn_lsh._layer import ACTIVATIONS, Layer, aligned_copy
from sklearn_lsh._network import Network
from sklearn_lsh._optimizers import SGD, Adagrad, Adam
from sklearn_lsh._output_selector import FEWEST, OutputSelector
from sklearn_lsh._schema import anything, array, choice, fields, flag, integer, items
from sklearn_lsh._selectors import (
    DenseSelector,
    SampledSelector,
    SketchSelector,
    TopKSelector,
)
from sklearn_lsh._table_selector import MAX_TABLE_BYTES, TableSelector
from sklearn_lsh._training import Trainer

FLOAT = np.float32
OPTIMIZERS = {"adam": Adam, "sgd": SGD, "adagrad": Adagrad}
SELECTORS = {  # and the arguments of their constructors besides sizes and seed
    DenseSelector: (),
    TopKSelector: ("n_active", "by_magnitude"),
    SketchSelector: ("n_active", "by_magnitude", "rank"),
    SampledSelector: ("n_active", "adaptive"),
    TableSelector: (
        "n_active", "by_magnitude", "rank", "hash_function", "n_hashes", "n_tables", "n_probes",
        "n_candidates", "mips",
    ),
    OutputSelector: (),
}  # fmt: skip
SEEDED = (SketchSelector, SampledSelector, TableSelector)


def trainer_state(trainer):
    """Everything that training goes on from, as `write_archive` takes it."""
    return {
        "schedule": state_of(trainer),
        "loss": trainer.network.loss.name,
        "layers": [
            layer_state(layer, trainer.optimizer.n_slots) for layer in trainer.network.layers
        ],
    }


def read_trainer(given, name, solver, loss):
    """The trainer in a state; it must have this solver and this Loss."""
    checks = {"schedule": anything, "loss": choice([loss.name]), "layers": anything}
    values = fields(given, name, checks)
    optimizer = OPTIMIZERS[solver].__new__(OPTIMIZERS[solver])
    layers = read_layers(values["layers"], f"{name}.layers")
    trainer = Trainer(Network(layers, loss), optimizer, 0.0, 1.0)
    restore(trainer, values["schedule"], f"{name}.schedule")
    for depth, layer in enumerate(layers):
        if len(layer.slots) not in (0, optimizer.n_slots):
            raise ValueError(f"{name}.layers[{depth}].slots must be {optimizer.n_slots} or none.")
    if trainer.next_refresh <= trainer.rows:
        raise ValueError(f"{name}.schedule.next_refresh must be larger than rows.")
    return trainer


def layer_state(layer, n_slots=0):
    """n_slots : arrays of state that the solver has use for; those of another are left out."""
    names = {code: name for name, code in ACTIVATIONS.items()}
    selector = layer.selector
    return {
        "stored": layer.stored,
        "by_input": layer.by_input,
        "b": layer.b,
        "activation": names[layer.activation],
        "slots": [list(pair) for pair in layer.slots[:n_slots]],
        "changed": layer.changed,
        "kind": type(selector).__name__,
        "arguments": {key: argument(selector, key) for key in SELECTORS[type(selector)]},
        "selector": state_of(selector),
    }


def read_layers(given, name):
    """A network's layers, the output last."""
    layers = []
    for depth, layer in enumerate(items(given, name)):
        is_last = depth == len(given) - 1
        layers.append(read_layer(layer, f"{name}[{depth}]", layers, is_last))
    if not layers:
        raise ValueError(f"{name} must be one or more.")
    return layers


def read_layer(given, name, below, is_last):
    """The layer above those `below`."""
    stored = given.get("stored") if isinstance(given, dict) else None
    if not isinstance(stored, np.ndarray) or stored.ndim != 2 or stored.size == 0:
        raise ValueError(f"{name}.stored must be a matrix.")
    n_in, n_out = stored.shape if given.get("by_input") is True else stored.shape[::-1]
    if below and n_in != below[-1].selector.n_out:
        raise ValueError(f"{name} must have {below[-1].selector.n_out} inputs, not {n_in}.")
    kinds = {cls.__name__: cls for cls in SELECTORS}
    allowed = {"DenseSelector", "OutputSelector"} if is_last else set(kinds) - {"OutputSelector"}
    if n_out <= FEWEST:
        allowed -= {"OutputSelector"}
    checks = {
        "stored": array(FLOAT, *stored.shape), "by_input": flag, "b": array(FLOAT, n_out),
        "activation": choice({"identity"} if is_last else ACTIVATIONS), "slots": items,
        "changed": array(np.uint8, n_out, low=0, high=1), "kind": choice(allowed),
        "arguments": anything, "selector": anything,
    }  # fmt: skip
    values = fields(given, name, checks)
    selector = read_selector(values, name, kinds[values["kind"]], n_in, n_out, len(below))
    if values["by_input"] and (below or selector.kind != DenseSelector.kind):
        raise ValueError(f"{name} must not be kept by inputs.")
    layer = Layer(
        aligned_copy(stored), values["b"], values["activation"], selector, values["by_input"]
    )
    layer.changed = values["changed"]
    for s, pair in enumerate(values["slots"]):
        where = f"{name}.slots[{s}]"
        if len(items(pair, where)) != 2:
            raise ValueError(f"{where} must be a pair.")
        # Moments may overflow where weights do not.
        matrix = array(FLOAT, *stored.shape, finite=False)(pair[0], where)
        layer.slots.append(
            (aligned_copy(matrix), array(FLOAT, n_out, finite=False)(pair[1], where))
        )
    return layer


def argument(selector, name):
    """What the constructor of a selector was given."""
    if name == "rank" and isinstance(selector.coordinates, RawCoordinates):
        return None
    if name == "hash_function":
        return next(key for key, cls in HASH_FAMILIES.items() if cls is type(selector.family))
    return getattr(selector, name)


def read_selector(layer, name, cls, n_in, n_out, depth):
    def rank(value, name):
        raw = value is None and cls is TableSelector
        return None if raw else integer(1, min(n_in, n_out) - 1)(value, name)

    checks = {
        "n_active": integer(1, n_out - 1), "by_magnitude": flag, "adaptive": flag, "rank": rank,
        "hash_function": choice(HASH_FAMILIES), "n_hashes": integer(1, 30),
        "n_tables": integer(1, MAX_TABLE_BYTES), "n_probes": integer(1, MOST_PROBES),
        "n_candidates": integer(1, n_out), "mips": flag,
    }  # fmt: skip
    checks = {key: checks[key] for key in SELECTORS[cls]}
    given = fields(layer["arguments"], f"{name}.arguments", checks)
    if cls is TableSelector:
        family = HASH_FAMILIES[given["hash_function"]]
        size = 4 * given["n_tables"] * (2 ** (given["n_hashes"] * family.bits()) + 1)
        n_scores = given["n_tables"] * given["n_hashes"] * family.group
        n_dims = (given["rank"] or n_in) + 1 + given["mips"]
        # Before functions as many are drawn.
        array(FLOAT, n_dims, n_scores)(layer["selector"]["family"]["hyperplanes"], name)
        if size > MAX_TABLE_BYTES:
            raise ValueError(f"{name}.arguments: tables of {size} bytes are too large.")
    if issubclass(cls, SEEDED):
        given["seed"] = depth
    selector = restore(cls(n_in, n_out, **given), layer["selector"], f"{name}.selector")
    if isinstance(selector, TableSelector):
        selector.use_planes()
        selector.file(1)
    return selector
