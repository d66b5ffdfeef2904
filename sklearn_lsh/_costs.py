"""What work takes, by how it reaches memory: nanoseconds a multiplication on one core.

They steer when selectors are refreshed and what selector="auto" takes, and round figures do for
that. Multiplications alone do not tell: a gather costs an order of magnitude more than the same
product in a matrix multiplication.
"""

# Fitted by benchmarks/selection.py on an EPYC, rounded; on a Xeon (docs/selection.md) they are 1.3
# to 1.8 times as large, and MATRIX is that machine's, in proportion.
SCORE = 0.043  # neurons scored against a query, panel by panel, and the best kept
STREAM = 0.094  # dot products and updates along dense rows
GATHER = 0.54  # the same through index lists
GATHER_FAR = 2.0  # the same of weights that no cache holds
MATRIX = 0.02  # the same in products of whole matrices
CANDIDATE = 19.0  # looking up, ranking and picking a candidate: a neuron
PROBE = 33.0  # a bucket

# Share of a layer's weights from which on products of whole matrices take less time: above dense
# rows, and above lists, where all products are gathers (docs/performance.md).
LARGE_SHARE = 1 / 5
LARGE_SHARE_ABOVE_LISTS = 1 / 25
SMALL = 64  # layers of fewer inputs or neurons are no matrices to speak of

# Of refreshing: rough guesses.
SKETCH = 0.033  # coordinates of neurons
FILE = 1.3  # tables built anew: a neuron in a table
MOVE = 1.0  # neurons that get other numbers: a weight, or a number of the solver's state

# Bytes of weights up to which where they lie makes no difference: a last-level cache.
CACHED = 2**25


def is_matrix(n_in, n_out, reached, active):
    """Whether a layer is better multiplied as a whole matrix than by index lists.

    reached, active : shares of its inputs and of its neurons that a row uses.
    """
    large = LARGE_SHARE if reached == 1 else LARGE_SHARE_ABOVE_LISTS
    return min(n_in, n_out) >= SMALL and reached * active >= large


def per_entry(sparse):
    """Cost of a weight used, in rows stored dense or sparse."""
    return GATHER if sparse else STREAM
