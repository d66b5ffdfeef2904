"""The chance that two vectors share a bucket of one table, by theory."""

import numpy as np
from scipy.special import log_ndtr, owens_t

GROUP = 8  # projections of which the best is the hash value


def collision_probability(family, cosine, n_hashes):
    """Of vectors at this cosine; for the groups, vectors whose coordinates are jointly Gaussian."""
    if family in ("simhash", "sparse_simhash"):  # Charikar (2002)
        return (1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi) ** n_hashes
    return group_agrees(cosine, two_sided=family == "cross_polytope") ** n_hashes


def group_agrees(cosine, two_sided):
    """Chance that one member of a group is the best in both vectors, times the members."""
    t, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    x, y = t[:, None], cosine * t[:, None] + np.sqrt(1 - cosine**2) * t
    corners = [(x, y, 1), (-x, y, -1), (x, -y, -1), (-x, -y, 1)] if two_sided else [(x, y, 1)]
    below = sum(sign * bivariate_cdf(a, b, cosine) for a, b, sign in corners)
    inside = (x > 0) & (y > 0) if two_sided else True
    chance = np.where(inside, np.clip(below, 0, 1) ** (GROUP - 1), 0)
    return (2 if two_sided else 1) * GROUP * (w[:, None] * w * chance).sum()


def bivariate_cdf(x, y, rho):
    """P(X < x, Y < y) of a standard Gaussian pair with correlation rho (Owen 1956)."""
    x, y = np.broadcast_arrays(x, y)
    root = np.sqrt(1 - rho**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        both = 0.5 * (np.exp(log_ndtr(x)) + np.exp(log_ndtr(y)))
        both = both - owens_t(x, (y / x - rho) / root) - owens_t(y, (x / y - rho) / root)
    return both - np.where(x * y < 0, 0.5, 0)
