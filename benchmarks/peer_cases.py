"""What peers.py compares on: data, network and how long it trains."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from datasets import debian_sections, mnist
from tabular import letter, nycflights

QUICK_ROWS, QUICK_WIDTH = 1000, 300
DENSE = ("ours", "ours, asynchronous", "scikit-learn", "PyTorch")


@dataclass(frozen=True)
class Case:
    """A data set and a network.

    Attributes
    ----------
    title : str
    load : callable
        Gives X_train, y_train, X_test, y_test.
    widths : tuple of int
    networks : tuple of str
        Names in `peer_networks.NETWORKS`.
    epochs : int or None
        Of a training, one for every round; None: one training, an epoch for every round.
    targets : tuple of float
        Test scores whose time is reported.
    density : float
    rates : tuple of float
        Learning rates of Adam among which every network has its own chosen.
    apart : bool
        Whether networks train one after the other, since memory does not hold them together.
    rows : int or None
        The first so many rows are taken.
    settings : dict
        Of networks that have none chosen, where to choose would take hours.
    """

    title: str
    load: callable
    widths: tuple
    networks: tuple = DENSE
    epochs: int | None = None
    targets: tuple = ()
    density: float = 0.05
    rates: tuple = (1e-3, 3e-3)
    apart: bool = False
    rows: int | None = None
    settings: dict = field(default_factory=dict)

    @property
    def regression(self):
        return self.load is nycflights

    def data(self):
        return tuple(array[: self.rows] for array in cached(self.load))

    def row_scores(self, y, predicted):
        """A number for every row, whose mean is the accuracy, or R2."""
        if self.regression:
            return 1 - (y - predicted) ** 2 / np.var(y)
        return (y == predicted).astype(np.float64)


@lru_cache(maxsize=1)
def cached(load):
    return load()


def sections():
    return debian_sections(215_000)[:4]


DIGITS = (0.97, 0.975, 0.98)
# Wide networks, where to choose would take hours: the quickest of the good on 2 x 1000, and the
# smaller rate.
WIDE = {"rate": 1e-3, "batch": 512, "falls": True}
MORE_RATES = (1e-3, 3e-3, 1e-2)  # where ours did better at the larger of the two
CASES = {
    "mnist_1000": Case("MNIST, 2 x 1000", mnist, (1000, 1000), epochs=10, targets=DIGITS),
    "letter": Case(
        "letter, 2 x 1000", letter, (1000, 1000), epochs=15, targets=(0.93, 0.95, 0.96),
        rates=MORE_RATES,
    ),
    "nycflights": Case(
        "flights (R2), 2 x 1000", nycflights, (1000, 1000), epochs=3, targets=(0.10, 0.15, 0.20),
        rates=MORE_RATES,
    ),
    "mnist_4000": Case(
        "MNIST, 2 x 4000", mnist, (4000, 4000), targets=DIGITS,
        settings={"scikit-learn": {"rate": 1e-3}, "PyTorch": WIDE},
    ),
    # Dense steps of 860 million weights are out of scikit-learn's reach.
    "text": Case(
        "Debian's sections, 1 x 4000", sections, (4000,), ("ours", "PyTorch"),
        epochs=3, targets=(0.70, 0.75, 0.80), apart=True,
        settings={"PyTorch": WIDE},
    ),
    "mnist_10000": Case(
        "MNIST, 2 x 10000, 200 active", mnist, (10_000, 10_000),
        ("ours", "ours, asynchronous", "PyTorch"), targets=DIGITS, density=0.02,
        rates=(1e-3, 2e-3),  # ours diverges at 3e-3
        settings={"PyTorch": WIDE},
    ),
}  # fmt: skip


def case_of(name, quick=False):
    """The case; quick: of few rows and narrow layers."""
    case = CASES[name]
    if not quick:
        return case
    widths = tuple(min(width, QUICK_WIDTH) for width in case.widths)
    return replace(case, widths=widths, epochs=case.epochs and 2, density=0.05, rows=QUICK_ROWS)
