"""Hash families against theory, and tables against a naive reading of them."""

from itertools import combinations

import numpy as np
import pytest
from collisions import bivariate_cdf, collision_probability
from contracts import inputs_like, make_layer, ready, select
from scipy.stats import chi2

from sklearn_lsh._hashing import HASH_FAMILIES, probe_sets
from sklearn_lsh._kernels import _tables
from sklearn_lsh._table_selector import TableSelector

FAMILIES = ["simhash", "sparse_simhash", "wta", "cross_polytope"]


def file(functions, vectors):
    scores = np.ascontiguousarray(vectors @ functions.hyperplanes + functions.key_shift)
    codes = _tables.codes(scores, functions.n_tables, functions.group, functions.signed, 2)
    return _tables.file_neurons(codes, functions.n_values**functions.n_hashes, 2)


@pytest.mark.parametrize(
    ("family", "n_hashes"),
    [*((f, k) for f in FAMILIES for k in (1, 2)), ("simhash", 4), ("sparse_simhash", 4)],
)
@pytest.mark.parametrize("cosine", [-0.5, 0.0, 0.3, 0.7, 0.95])
def test_collision_probability(family, cosine, n_hashes):
    n_tables, n_dims = 2000, 400
    functions = HASH_FAMILIES[family](n_dims, n_hashes, n_tables, 0)
    expected, together = collision_probability(family, cosine, n_hashes), []
    # Some families promise this over vectors, not over functions alone: several pairs of them.
    for seed in range(4):
        a, b = np.random.default_rng(seed).normal(size=(2, n_dims))
        a, b = np.linalg.qr(np.stack([a, b]).T)[0].T
        pair = np.stack([a, cosine * a + np.sqrt(1 - cosine**2) * b]).astype(np.float32)
        start, _ = file(functions, pair)
        together.append(np.mean([np.any(np.diff(s) == 2) for s in start]))
    assert np.mean(together) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n_tables / 4))


def test_bivariate_cdf():
    rho = np.array([-0.6, 0.2, 0.9])
    draws = np.random.default_rng(0).normal(size=(2, 200_000))
    for r in rho:
        x, y = draws[0], r * draws[0] + np.sqrt(1 - r**2) * draws[1]
        for a, b in [(0.3, 0.8), (-0.4, 1.1), (-1.0, -0.2), (0.5, -0.7)]:
            assert bivariate_cdf(a, b, r) == pytest.approx(np.mean((x < a) & (y < b)), abs=0.005)


def test_cells_file_under_the_nearest_centroid():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 6)).astype(np.float32)
    functions = HASH_FAMILIES["kmeans"](6, 1, 2, 0)
    assert functions.fit(vectors) > 0
    start, neurons = file(functions, vectors)
    for table in range(2):
        centroids = functions.hyperplanes[:, 32 * table : 32 * (table + 1)].T
        distance = ((vectors[:, None] - centroids) ** 2).sum(axis=2)
        for cell in range(32):
            for i in neurons[table, start[table, cell] : start[table, cell + 1]]:
                assert distance[i, cell] <= distance[i].min() + 1e-4


@pytest.mark.parametrize(("group", "signed"), [(1, True), (4, True), (4, False)])
def test_every_neuron_is_filed_once_in_every_table_under_its_values(group, signed):
    rng = np.random.default_rng(0)
    n_tables, n_hashes = 5, 3
    scores = rng.normal(size=(300, n_tables, n_hashes, group)).astype(np.float32)
    codes, n_values = naive_values(scores, signed)
    codes = codes @ (n_values ** np.arange(n_hashes))
    buckets = _tables.codes(scores.reshape(300, -1), n_tables, group, signed, 2)
    np.testing.assert_array_equal(buckets, codes.T)
    start, neurons = _tables.file_neurons(buckets, n_values**n_hashes, 2)
    for table in range(n_tables):
        for bucket in range(n_values**n_hashes):
            filed = neurons[table, start[table, bucket] : start[table, bucket + 1]]
            np.testing.assert_array_equal(filed, np.flatnonzero(codes[:, table] == bucket))


def naive_values(scores, signed):
    """Hash values of scores (..., group), and how many there are."""
    best = np.argmax(np.abs(scores) if signed else scores, axis=-1)
    if not signed:
        return best, scores.shape[-1]
    top = np.take_along_axis(scores, best[..., None], axis=-1)[..., 0]
    return 2 * best + (top > 0), 2 * scores.shape[-1]


def naive_probes(h, signed, sets, n_probes):
    """Buckets of one table: h (n_hashes, group), sets of ranks of its alternatives."""
    values, n_values = naive_values(h, signed)
    power = n_values ** np.arange(len(h))
    size = np.abs(h).astype(np.float64) if signed else h.astype(np.float64)
    others = []
    for k, (row, value) in enumerate(zip(h, values, strict=True)):
        best = value // 2 if signed else value
        if len(row) == 1:
            others.append((size[k, 0] ** 2, k, 1 - value - value))
            continue
        for g in range(len(row)):
            other = 2 * g + (row[g] > 0) if signed else g
            if g != best:
                others.append(((size[k, best] - size[k, g]) ** 2, k, other - value))
            if signed:
                others.append(((size[k, best] + size[k, g]) ** 2, k, (other ^ 1) - value))
    others.sort()
    members, probes = [[]], [int(values @ power)]
    for parent, rank in sets[1:]:
        members.append([*members[parent], rank] if members[parent] is not None else None)
        if members[-1] is not None:
            owners = [others[r][1] for r in members[-1]]
            if len(set(owners)) < len(owners):
                members[-1] = None
                continue
            changes = sum(others[r][2] * power[others[r][1]] for r in members[-1])
            probes.append(probes[0] + int(changes))
    return probes[:n_probes]


@pytest.mark.parametrize("sketch", [8, None])
@pytest.mark.parametrize(("n_probes", "enough"), [(1, 150), (3, 150), (16, 150), (16, 60)])
@pytest.mark.parametrize("family", HASH_FAMILIES)
def test_candidates_are_those_of_the_likeliest_buckets(family, sketch, n_probes, enough):
    layer = make_layer("tables")
    selector = layer.selector = TableSelector(
        40, 150, 149, False, sketch, 0, hash_function=family, n_hashes=4 if "sim" in family else 2,
        n_tables=6, n_probes=n_probes, n_candidates=enough,
    )  # fmt: skip
    X = inputs_like(layer)
    active = select(ready(layer, X), X)  # 149 of 150: no ranking, every candidate is active
    planes, differ = selector.family.hyperplanes, 0
    for x, found in zip(X, active, strict=True):
        h = x @ planes[:40] if sketch is None else x @ selector.directions @ planes[:8]
        h = (h + selector.shift).reshape(selector.n_tables, selector.n_hashes, selector.group)
        probes, expected = [], {}
        for table, part in enumerate(h):
            buckets = naive_probes(part, selector.is_signed, selector.sets, n_probes)
            probes += [(turn, table, bucket) for turn, bucket in enumerate(buckets)]
        for _, table, bucket in sorted(probes):
            a, b = selector.bucket_start[table, bucket : bucket + 2]
            expected |= dict.fromkeys(selector.neurons[table, a:b].tolist())
        expected = set(list(expected)[:enough])
        differ += expected != set(found.tolist()) and len(expected) < 150
    assert differ == 0


@pytest.mark.parametrize(("n_hashes", "n_others"), [(8, 1), (3, 7), (1, 31)])
def test_probe_sets_are_likely_ones(n_hashes, n_others):
    """In the mean, few sets that are tried are less likely than those that are not."""
    n_probes = 12
    sets = probe_sets(n_hashes, n_others, n_probes)
    assert len(sets) >= n_probes and tuple(sets[0]) == (0, 0)
    assert all(parent < i for i, (parent, _) in enumerate(sets[1:], start=1))
    assert len({(int(p), int(r)) for p, r in sets[1:]}) == len(sets) - 1
    if n_others == 1:
        costs = np.sort(np.random.default_rng(0).normal(size=(200, n_hashes)) ** 2, axis=1)
        bits = (np.arange(2**n_hashes)[:, None] >> np.arange(n_hashes)) & 1
        tried = np.zeros((len(sets), n_hashes))
        for i, (parent, rank) in enumerate(sets[1:], start=1):
            tried[i] = tried[parent]
            tried[i, rank] = 1
        best = np.sort(costs @ bits.T, axis=1)[:, :n_probes]
        assert (costs @ tried.T).sum() < 1.2 * best.sum()


@pytest.mark.parametrize(("n_hashes", "n_others"), [(8, 1), (3, 7), (2, 31)])
def test_probe_sets_come_by_expected_distance(n_hashes, n_others):
    """No set that is left out, or comes later, is expected to be nearer."""
    sets, n_ranks = probe_sets(n_hashes, n_others, 12), n_hashes * n_others
    # Alternatives are taken to be as far off as squares of Gaussians, in their order.
    cost = chi2.ppf((np.arange(n_ranks) + 0.5) / n_ranks, 1)
    tried = np.zeros(len(sets))
    for i, (parent, rank) in enumerate(sets[1:], start=1):
        tried[i] = tried[parent] + cost[rank]
    ranks = [list(c) for n in range(n_hashes + 1) for c in combinations(range(n_ranks), n)]
    every = np.sort([cost[r].sum() for r in ranks])
    np.testing.assert_allclose(tried, every[: len(sets)])


@pytest.mark.parametrize("family", HASH_FAMILIES)
@pytest.mark.parametrize("n_hashes", [1, 2])
@pytest.mark.parametrize("n_probes", [2, 8, 16, 64])
def test_as_many_buckets_are_probed_as_asked_for(family, n_hashes, n_probes):
    selector = TableSelector(
        40, 3000, 2999, False, 8, 0, hash_function=family, n_hashes=n_hashes, n_tables=1,
        n_probes=n_probes, n_candidates=3000,
    )  # fmt: skip
    layer = make_layer("tables", n_out=3000)
    layer.selector = selector
    X = inputs_like(layer, 20)
    ready(layer, X)
    # One neuron in every bucket: the neurons found are the buckets probed.
    n_buckets = selector.n_buckets
    selector.bucket_start = np.minimum(np.arange(n_buckets + 1, dtype=np.int32)[None], 3000)
    selector.bucket_start = np.ascontiguousarray(selector.bucket_start)
    selector.neurons = np.arange(3000, dtype=np.int32)[None].copy()
    found = [len(active) for active in select(layer, X)]
    assert min(found) == max(found) == min(n_probes, n_buckets)


def test_the_offset_is_in_every_sparse_function_with_mips_too():
    for mips in (False, True):
        selector = TableSelector(
            400, 100, 5, False, None, 0, hash_function="sparse_simhash", n_hashes=6, n_tables=10,
            n_probes=4, n_candidates=40, mips=mips,
        )  # fmt: skip
        assert (selector.family.hyperplanes[-1] != 0).all()
        assert (selector.family.hyperplanes[-2] != 0).mean() < 0.3


@pytest.mark.parametrize("sketch", [8, None])
def test_cells_follow_the_weights(sketch):
    layer = make_layer("tables", n_out=500)
    layer.selector = TableSelector(
        40, 500, 20, False, sketch, 0, hash_function="kmeans", n_hashes=1, n_tables=2, n_probes=4,
        n_candidates=200,
    )  # fmt: skip
    X = inputs_like(layer)
    ready(layer, X)
    before = layer.selector.family.hyperplanes
    layer.selector.refresh(layer, 1)
    assert layer.selector.family.hyperplanes is before
    layer.W[:] = np.random.default_rng(0).normal(size=layer.W.shape)
    layer.selector.turn(layer)
    layer.selector.refresh(layer, 1)
    assert np.abs(layer.selector.family.hyperplanes - before).max() > 0.1


def test_kernels_refuse_what_they_would_have_to_copy():
    layer = make_layer("tables")
    X = inputs_like(layer)
    ready(layer, X)
    layer.selector.directions = np.asfortranarray(layer.selector.directions)
    with pytest.raises(ValueError, match="contiguous"):
        select(layer, X)


@pytest.mark.parametrize("sketch", [8, None])
def test_mips_makes_norms_equal(sketch, monkeypatch):
    """What is filed has one norm, and its products with a query are those without the option."""
    filed = []
    for mips in (False, True):
        layer = make_layer("tables", n_out=1000, n_active=20)
        layer.W[...] *= np.random.default_rng(0).exponential(size=(1000, 1)).astype(np.float32)
        selector = layer.selector = TableSelector(
            40, 1000, 20, False, sketch, 0, hash_function="simhash", n_hashes=6, n_tables=20,
            n_probes=4, n_candidates=1000, mips=mips,
        )  # fmt: skip
        monkeypatch.setattr(selector.family, "adapts", True)
        monkeypatch.setattr(selector.family, "fit", lambda vectors: filed.append(vectors) or 0)
        X = inputs_like(layer, 200)
        best = np.argsort(-(X @ layer.W.T + layer.b), axis=1)[:, :20]
        active = select(ready(layer, X), X)
        recall = np.mean([np.isin(b, a).mean() for b, a in zip(best, active, strict=True)])
        assert recall > 0.6
    plain, equal = filed
    np.testing.assert_array_equal(plain, np.delete(equal, -2, axis=1))
    norms = np.linalg.norm(equal, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-4)


def test_tables_find_what_hashing_promises():
    """More tables, more recall; and the exact best among the candidates is kept."""
    found = []
    for n_tables in (1, 4, 16):
        layer = make_layer("tables", n_out=1000, n_active=20)
        layer.selector = TableSelector(
            40, 1000, 20, False, 8, 0, hash_function="simhash", n_hashes=6, n_tables=n_tables,
            n_probes=4, n_candidates=1000,
        )  # fmt: skip
        X = inputs_like(layer, 200)
        scores = X @ layer.W.T + layer.b
        best = np.argsort(-scores, axis=1)[:, :20]
        active = select(ready(layer, X), X)
        found.append(np.mean([np.isin(b, a).mean() for b, a in zip(best, active, strict=True)]))
    assert found[0] < found[1] < found[2] and found[2] > 0.8
