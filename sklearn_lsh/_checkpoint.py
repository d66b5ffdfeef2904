"""A fit that goes on where its process was killed: its state after every epoch, in a file."""

import hashlib
import os
import re
from contextlib import suppress

import numpy as np

from sklearn_lsh._archive import read_archive, write_archive
from sklearn_lsh._attributes import random_state, random_state_of
from sklearn_lsh._persistence import HISTORY, decode, encode, model_state, read_model, real
from sklearn_lsh._schema import anything, fields, integer, optional, refusing
from sklearn_lsh._state import layer_state, read_layers

# Parameters that change no result.
FREE = {"checkpoint", "n_threads", "verbose"}


class Checkpoint:
    """The file of one fit: of these parameters, to these rows.

    Parameters
    ----------
    path : str, path-like or None
        Of a file that may be there; None: there is to be none.
    est : BaseLSHMLP
    train, watched : Sample
        `watched` may be None.
    cold : bool
        Whether the fit begins with a new network.

    Raises
    ------
    ValueError
        If there is a file, but not of this fit; or none can be written there.
    """

    def __init__(self, path, est, train, watched, cold):
        self.path = None if path is None else os.fsdecode(path)
        self.found = None
        if self.path is None:
            return
        self.temporary = f"{self.path}.unfinished"
        folder = os.path.dirname(os.path.abspath(self.path))
        if (
            "\0" in self.path
            or not self.path
            or os.path.isdir(self.path)
            or not os.access(folder, os.W_OK | os.X_OK)
        ):
            raise ValueError(f"checkpoint={self.path!r} is no file in a folder to be written to.")
        self.identity = identity(est, train, watched, cold)
        if not os.path.exists(self.path):
            return
        state = read_archive(self.path)
        if not isinstance(state, dict) or state.get("identity") != self.identity:
            raise ValueError(
                f"checkpoint={self.path!r} is of a fit with other parameters or other data; "
                "remove it, or choose another file."
            )
        with self.refusing():
            checks = {
                "identity": anything, "start": random_state, "model": anything,
                "monitor": anything,
            }  # fmt: skip
            self.found = fields(state, "the file", checks)
            self.model = read_model(type(est), self.found["model"])

    def refusing(self):
        return refusing(f"checkpoint={self.path!r} cannot be read")

    def begin(self, rng):
        """Random numbers to begin with: those that the fit began with, if it goes on."""
        if self.path is None:
            return rng
        if self.found is None:
            self.start = random_state_of(rng)
            return rng
        self.start = random_state_of(self.found["start"])
        return self.found["start"]

    def resume(self, est, monitor, n_rows):
        """Put an estimator that has begun, and its monitor, where the file is; whether there is."""
        if self.found is None:
            return False
        trainer, begun = self.model["_trainer"], est._trainer
        with self.refusing():
            if self.model["n_iter_"] >= est.max_iter:
                raise ValueError(f"n_iter_ must be less than max_iter={est.max_iter}.")
            check_layers(trainer.network.layers, begun.network.layers)
            if trainer.order is None or not np.array_equal(
                np.sort(trainer.order), np.arange(n_rows)
            ):
                raise ValueError(f"trainer.schedule.order must be the order of {n_rows} rows.")
            if trainer.rests is not None and len(trainer.rests.losses) != n_rows:
                raise ValueError(f"trainer.schedule.rests must be of {n_rows} rows.")
            checks = {
                "best": lambda value, name: real(decode(value, name), name),
                "no_improvement": integer(),
                "best_layers": optional(read_layers),
            }
            kept = fields(self.found["monitor"], "monitor", checks)
            if kept["best_layers"] is not None:
                check_layers(kept["best_layers"], begun.network.layers)
        for name, value in kept.items():
            setattr(monitor, name, value)
        trainer.network.loss = begun.network.loss
        for name in (*HISTORY, "_trainer", "_random_state"):
            setattr(est, name, self.model[name])
        self.found = self.model = None
        return True

    def write(self, est, monitor):
        """After an epoch."""
        if self.path is None:
            return
        best = monitor.best_layers
        state = {
            "identity": self.identity,
            "start": self.start,
            "model": model_state(est),
            "monitor": {
                "best": encode(float(monitor.best), "monitor.best"),
                "no_improvement": monitor.no_improvement,
                "best_layers": None if best is None else [layer_state(layer) for layer in best],
            },
        }
        with suppress(FileNotFoundError):
            os.remove(self.temporary)  # of a fit that was killed as it wrote
        write_archive(self.path, state, self.temporary)

    def remove(self):
        """After the last epoch."""
        if self.path is None:
            return
        for path in (self.path, self.temporary):
            with suppress(FileNotFoundError):
                os.remove(path)


def check_layers(layers, expected):
    """Raise ValueError unless layers are built alike."""
    built, others = (
        [(*layer.W.shape, layer.by_input, layer.activation, layer.selector.kind) for layer in each]
        for each in (layers, expected)
    )
    if built != others:
        raise ValueError(f"layers must be built as {others}, not as {built}.")


def identity(est, train, watched, cold):
    """A digest of the parameters that matter, of all rows, and of what a warm start begins with."""
    digest = hashlib.sha256()
    told = {k: v for k, v in est.get_params(deep=False).items() if k not in FREE}
    told |= {name: getattr(est, name, None) for name in ("classes_", "feature_names_in_")}
    for name, value in sorted(told.items()):
        digest.update(f"{name}={described(value)}\n".encode())
    for array in () if cold else (*est.coefs_, *est.intercepts_):
        digest.update(np.ascontiguousarray(array).data)
    for sample in (train, watched):
        parts = () if sample is None else (sample.inputs, sample.targets)
        for rows in parts:
            digest.update(f"{rows.n_cols}, {rows.indices is None}\n".encode())
            for array in (rows.start, rows.length, rows.indices, rows.values):
                if array is not None:
                    digest.update(np.ascontiguousarray(array).data)
        digest.update(b"" if sample is None else sample.weight.data)
    return digest.hexdigest()


def described(value):
    """The same in every process."""
    if isinstance(value, np.random.RandomState):
        state = random_state_of(value)
        return f"{hashlib.sha256(state['key'].data).hexdigest()} {state['pos']}"
    if isinstance(value, dict):
        return "\n".join(sorted(f"{key!r}: {described(v)}" for key, v in value.items()))
    if isinstance(value, list | tuple | np.ndarray):
        return str([described(item) for item in value])
    code = getattr(value, "__code__", None)
    if code is not None:
        value = value.__module__, value.__qualname__, code.co_code, code.co_consts
    return re.sub(r" at 0x\w+", "", repr(value))
