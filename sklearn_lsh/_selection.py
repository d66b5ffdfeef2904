"""The selector of a hidden layer, by its public name or by what it costs."""

from sklearn_lsh._costs import CANDIDATE, MATRIX, PROBE, SCORE, STREAM, is_matrix, per_entry
from sklearn_lsh._hashing import HASH_FAMILIES
from sklearn_lsh._selectors import (
    DenseSelector,
    SampledSelector,
    SketchSelector,
    TopKSelector,
)
from sklearn_lsh._table_selector import TableSelector

CANDIDATES_PER_ACTIVE = 8
# A twentieth of so few neurons represents little: "auto" keeps narrow layers dense.
NARROW = 128
# Neurons above which 32 cells would hold more than there are candidates by far.
MANY = 2**15


def make_selector(name, n_in, n_out, n_active, n_entries, sparse, *, by_magnitude, seed,
                  shortlisted, sketch_size, from_csr=False, **tables):  # fmt: skip
    """Selector of a hidden layer by its public name.

    n_entries : mean number of entries of an input row. sparse : whether rows are stored so;
    from_csr : as the data.
    shortlisted : neurons for each one kept, of selectors that have shortlists.
    """
    if n_active >= n_out:
        return DenseSelector(n_in, n_out)
    # Where it takes half of all directions to choose them from, little is left to sketch.
    rank = None if sketch_size is None or 2 * sketch_size >= min(n_in, n_out) else sketch_size
    if tables["n_candidates"] is None:
        tables["n_candidates"] = CANDIDATES_PER_ACTIVE * n_active
        if name == "auto" and n_out > MANY:
            tables["n_candidates"] *= 2
    if name == "auto":
        tables |= cells(n_out)
        name = cheapest(
            n_in, n_out, n_active, n_entries, sparse, rank or n_in, shortlisted,
            from_csr=from_csr, **tables,
        )  # fmt: skip
    if name == "dense":
        return DenseSelector(n_in, n_out)
    if name in ("dropout", "adaptive_dropout"):
        return SampledSelector(n_in, n_out, n_active, seed, adaptive=name == "adaptive_dropout")
    if name == "lsh":
        return TableSelector(
            n_in, n_out, n_active, by_magnitude, rank, seed, shortlisted=shortlisted, **tables
        )
    if name == "topk" or rank is None:
        return TopKSelector(n_in, n_out, n_active, by_magnitude)
    return SketchSelector(n_in, n_out, n_active, by_magnitude, rank, seed, shortlisted)


def cells(n_out):
    """Tables of "auto": k-means cells, 32 in a table or, of many neurons, 32 x 32."""
    shape = {"n_hashes": 1, "n_tables": 4, "n_probes": 20}
    if n_out > MANY:
        shape = {"n_hashes": 2, "n_tables": 2, "n_probes": 40}
    return {"hash_function": "kmeans", "mips": False, **shape}


def cheapest(n_in, n_out, n_active, n_entries, sparse, rank, shortlisted, *, hash_function,
             n_hashes, n_tables, n_probes, n_candidates, from_csr=False, **_):  # fmt: skip
    """The choice of selector="auto": least time times multiplications, both of training an example.

    A saving of one is worth the same share of the other. Refreshes are left out.
    from_csr : whether rows are those of CSR data, which are never made matrices.
    """
    reached = n_entries / n_in if sparse else 1
    if n_out <= NARROW or (not from_csr and is_matrix(n_in, n_out, reached, n_active / n_out)):
        return "dense"
    # Forward, backward and update use a weight once each.
    entry = per_entry(sparse)
    every, each = n_entries * n_out, entry
    if not from_csr and is_matrix(n_in, n_out, reached, 1):
        every, each = n_in * n_out, MATRIX
    active = 3 * n_entries * n_active
    # Of the shortlist, those that are not kept.
    dropped = n_entries * n_active * (shortlisted - 1)
    query, n_found = n_entries * rank, min(n_candidates, n_out)
    n_scores = n_tables * n_hashes * HASH_FAMILIES[hash_function].group
    products = {
        "dense": 3 * every,
        "topk": active + every,
        "sketch": active + dropped + query + n_out * rank,
        "lsh": active + dropped + query + n_scores * rank + n_found * min(rank, n_entries),
    }
    looking_up = n_tables * PROBE * n_probes + n_found * CANDIDATE
    times = {
        "dense": each * products["dense"],
        "topk": entry * active + each * every,
        "sketch": entry * (active + dropped) + STREAM * query + SCORE * n_out * rank,
        "lsh": entry * (active + dropped) + STREAM * (query + n_scores * rank) + looking_up,
    }
    if n_candidates < shortlisted * n_active:
        del times["lsh"]  # fewer would be active
    return min(times, key=lambda name: times[name] * products[name])
