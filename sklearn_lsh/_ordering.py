"""Numbers for a layer's neurons: those that rows keep together stand side by side.

What a row asks for of the layer above are then few cache lines of weights, and not one an entry.
"""

import numpy as np

from sklearn_lsh._rows import CACHE_LINE

# Rows that tell which neurons are kept together.
ROWS = 256
# Power steps towards the leading direction.
STEPS = 4


def cost_of_order(n_neurons):
    """Multiplications of `order_by_company`, by ROWS rows."""
    n_levels = max(np.log2(n_neurons / CACHE_LINE), 0)
    return int((2 * STEPS + 1) * ROWS * n_neurons * n_levels)


def order_by_company(active):
    """An order of the neurons, int32.

    Balanced halves along the leading direction of their rows, and halves of these, down to a cache
    line (principal direction divisive partitioning, Boley 1998).

    active : CSR (n_rows, n_neurons), the neurons that each row keeps.
    """
    kept = active.T.tocsr()
    members = np.zeros(kept.shape, dtype=np.float32)
    members[np.repeat(np.arange(len(members)), np.diff(kept.indptr)), kept.indices] = kept.data != 0
    start = np.random.RandomState(0).standard_normal(members.shape[1]).astype(np.float32)
    waiting, order = [np.arange(len(members), dtype=np.int32)], []
    while waiting:
        ids = waiting.pop()
        if len(ids) <= CACHE_LINE:
            order.append(ids)
            continue
        rows = members[ids]
        rows -= rows.mean(axis=0)
        direction = start
        for _ in range(STEPS):
            direction = (rows @ direction) @ rows
            direction /= max(np.linalg.norm(direction), np.finfo(np.float32).tiny)
        ids = ids[np.argsort(rows @ direction, kind="stable")]
        half = CACHE_LINE * max(len(ids) // CACHE_LINE // 2, 1)
        waiting += [ids[half:], ids[:half]]
    return np.concatenate(order)
