"""Checks of what a file holds: each takes a value and its name, and gives the value or raises."""

from contextlib import contextmanager

import numpy as np

MOST = 2**62  # of a count: a few more still fit into 64 bits
# What malformed values raise, besides ValueError, where they are used.
MALFORMED = (TypeError, LookupError, AttributeError, OverflowError, RecursionError)


@contextmanager
def refusing(what):
    """Turn what malformed values raise into a ValueError whose message begins with `what`."""
    try:
        yield
    except (ValueError, *MALFORMED) as error:
        raise ValueError(f"{what}: {error}") from error


def fields(given, name, checks):
    """The values of a dict that has these keys and no others, checked."""
    if not isinstance(given, dict) or set(given) != set(checks):
        found = sorted(given) if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{name} must have {sorted(checks)}, got {found}.")
    return {key: check(given[key], f"{name}.{key}") for key, check in checks.items()}


def scalar(value, kinds):
    """Whether this is a number of NumPy, or an array of no dimension."""
    return (
        isinstance(value, np.ndarray | np.generic)
        and value.shape == ()
        and (value.dtype.kind in kinds)
    )


def integer(low=0, high=MOST):
    def check(value, name):
        if (
            isinstance(value, np.ndarray | np.integer)
            and value.ndim == 0
            and value.dtype.kind in "iu"
        ):
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} must be an integer from {low} to {high}, got {value!r:.80}.")
        return value

    return check


def number(low=-np.inf, high=np.inf):
    """Finite; scalars of NumPy stay what they are."""

    def check(value, name):
        if scalar(value, "iuf"):
            value = value[()]
        real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not real or not low <= value <= high or not abs(value) <= np.finfo(float).max:
            raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r:.80}.")
        return value

    return check


def flag(value, name):
    if scalar(value, "b"):
        value = bool(value)
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r:.80}.")
    return value


def choice(options):
    def check(value, name):
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"{name} must be one of {sorted(options)}, got {value!r:.80}.")
        return value

    return check


def anything(value, name):
    """What is checked later."""
    return value


def optional(check):
    return lambda value, name: None if value is None else check(value, name)


def items(value, name):
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {type(value).__name__}.")
    return value


def array(dtype, *shape, low=None, high=None, finite=True):
    """An array of this type and shape, in [low, high]; a scalar of NumPy where shape is empty."""

    def check(value, name):
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
            found = value.shape if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(
                f"{name} must be an array of {np.dtype(dtype)} and shape {shape}, got {found}"
                f"{f' of {value.dtype}' if isinstance(value, np.ndarray) else ''}."
            )
        if finite and value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite.")
        if low is not None and (value.min() < low or value.max() > high):
            raise ValueError(f"{name} must lie in [{low}, {high}].")
        return value if shape else value[()]

    return check
