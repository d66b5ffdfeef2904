"""Data sets generated for the benchmarks: three re-creations and a stream of deformed digits.

The re-creations are cached as described in ``datasets.py``, by seed and size.
"""

import numpy as np
from datasets import cached_images, mnist
from scipy import sparse
from sklearn.preprocessing import normalize

SIDE = 28  # pixels, height and width of every image here


def _split(X, y, n_train):
    X = X.reshape(len(X), -1).astype(np.uint8)
    y = y.astype(np.int64)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def _convex_sets(rng, n, p, min_pixels):
    """Draw n intersections of k half-planes, k geometric from 0, of at least min_pixels pixels."""
    y, x = np.indices((SIDE, SIDE), dtype=np.float32).reshape(2, -1) - (SIDE - 1) / 2
    found, missing = [], n
    while missing > 0:
        k = rng.geometric(p, size=4096) - 1
        sets = np.ones((len(k), SIDE**2), dtype=bool)
        for step in range(k.max()):
            on = np.flatnonzero(k > step)
            angle = rng.uniform(0, 2 * np.pi, (len(on), 1)).astype(np.float32)
            distance = rng.uniform(-3, 19.8, (len(on), 1)).astype(np.float32)
            sets[on] &= np.cos(angle) * x + np.sin(angle) * y <= distance
            enough = np.count_nonzero(sets, axis=1) >= min_pixels
            sets, k = sets[enough], k[enough]
        found.append(sets)
        missing -= len(sets)
    return np.concatenate(found)[:n]


def _is_convex(images):
    """Tell which boolean images are exactly the pixels of their convex hull."""
    far = 10000  # ends of an empty row, never inside the frame after interpolation
    filled = images.any(axis=2)
    left = np.where(filled, images.argmax(axis=2), far)
    right = np.where(filled, SIDE - 1 - images[:, :, ::-1].argmax(axis=2), -far)
    # The hull reaches, in the rows between two rows, to the segments between their ends.
    hull_left, hull_right = left.copy(), right.copy()
    for top in range(SIDE):
        for bottom in range(top + 2, SIDE):
            mid, height = np.arange(top + 1, bottom), bottom - top
            a, b = bottom - mid, mid - top
            ends = -((-left[:, [top]] * a - left[:, [bottom]] * b) // height)  # rounded up
            hull_left[:, mid] = np.minimum(hull_left[:, mid], ends)
            ends = (right[:, [top]] * a + right[:, [bottom]] * b) // height
            hull_right[:, mid] = np.maximum(hull_right[:, mid], ends)
    hull_size = (hull_right - hull_left + 1).clip(0).sum(axis=1)
    return hull_size == np.count_nonzero(images, axis=(1, 2))


def _make_convex(seed, n_train, n_test):
    rng = np.random.default_rng(seed)
    n = n_train + n_test
    found, missing = [_convex_sets(rng, n - n // 2, 0.195, 19)], n // 2
    while missing > 0:
        parts = rng.integers(2, 5, size=4096)
        sets = _convex_sets(rng, parts.sum(), 0.07, 10)
        unions = np.logical_or.reduceat(sets, np.cumsum(parts) - parts, axis=0)
        convex_too = _is_convex(unions.reshape(-1, SIDE, SIDE))
        unions = unions[~convex_too][:missing]
        found.append(unions)
        missing -= len(unions)
    order = rng.permutation(n)
    return _split(np.concatenate(found)[order] * 255, order < n - n // 2, n_train)


def convex(seed=0, n_train=8000, n_test=50000):
    """Generate "convex" of Larochelle et al. (2007): is the white set convex (1) or not (0)?

    A re-creation, made about as hard as the published set by drawing the signed distance of each
    half-plane's edge from the centre uniformly from (-3, 19.8).

    Parameters
    ----------
    seed, n_train, n_test : int

    Returns
    -------
    X_train, y_train, X_test, y_test : ndarray
        X float32, 0 or 1, of 784 features; y int64.
    """
    name = f"convex_{seed}_{n_train}_{n_test}"
    return cached_images(name, lambda: _make_convex(seed, n_train, n_test))


def _rectangles(rng, n, smallest, difference, area):
    """Draw n rectangles; return masks of their insides and of their 1-pixel borders, and y."""
    height, width = rng.integers(smallest, SIDE + 1, size=(2, 20 * n))
    keep = (abs(height - width) >= difference) & (height * width >= area[0] * SIDE**2)
    keep &= height * width <= area[1] * SIDE**2
    height, width = height[keep][:n, None], width[keep][:n, None]
    top, left = rng.integers(0, SIDE + 1 - height), rng.integers(0, SIDE + 1 - width)
    position = np.arange(SIDE)

    def mask(inset):
        rows = (position >= top + inset) & (position < top + height - inset)
        columns = (position >= left + inset) & (position < left + width - inset)
        return rows[:, :, None] & columns[:, None, :]

    inside = mask(0)
    return inside, inside & ~mask(1), (width > height).ravel()


def rectangles(seed=0, n_train=1200, n_test=50000):
    """Generate "rectangles" of Larochelle et al. (2007): is the outline wide (1) or tall (0)?

    Parameters
    ----------
    seed, n_train, n_test : int

    Returns
    -------
    X_train, y_train, X_test, y_test : ndarray
        X float32, 0 or 1, of 784 features; y int64.
    """

    def make():
        rng = np.random.default_rng(seed)
        _, border, wide = _rectangles(rng, n_train + n_test, 1, 3, (0, 1))
        return _split(border * 255, wide, n_train)

    return cached_images(f"rectangles_{seed}_{n_train}_{n_test}", make)


def rectangles_images(seed=0, n_train=12000, n_test=50000):
    """Generate "rectangles-images" of Larochelle et al. (2007): wide (1) or tall (0)?

    A re-creation: rectangle and background are patches of scikit-learn's two sample photographs
    (reading them needs Pillow), which makes it easier than the published set: a support
    vector machine with an RBF kernel (C=10, gamma=.02) errs on 14 % after 8,000 samples.

    Parameters
    ----------
    seed, n_train, n_test : int

    Returns
    -------
    X_train, y_train, X_test, y_test : ndarray
        X float32 in [0, 1], of 784 features; y int64.
    """

    def make():
        from sklearn.datasets import load_sample_images

        rng = np.random.default_rng(seed)
        n = n_train + n_test
        photos = np.stack(load_sample_images().images).mean(axis=3).astype(np.uint8)
        patches = np.lib.stride_tricks.sliding_window_view(photos, (SIDE, SIDE), axis=(1, 2))
        inside, _, wide = _rectangles(rng, n, 10, 5, (0.25, 0.75))
        front, back = (patches[tuple(rng.integers(0, patches.shape[:3], (n, 3)).T)] for _ in "ab")
        return _split(np.where(inside, front, back), wide, n_train)

    return cached_images(f"rectangles_images_{seed}_{n_train}_{n_test}", make)


def mnist8m_stream(seed=0, batch_size=1000):
    """Generate deformed MNIST digits without end, after Loosli, Canu & Bottou (2007).

    The same construction as MNIST8M's, not the same bytes: each digit x becomes
    x + fx * dx + fy * dy + b * |grad x|, where the displacements fx, fy are noise smoothed with a
    Gaussian of 4 pixels, scaled to an rms of 1 pixel, and b is normal with deviation .25; then
    it is shifted by up to 1 pixel each way. Each pass takes the 60,000 digits in a new order.

    Parameters
    ----------
    seed : int
    batch_size : int, at most 60000
        The digits at the end of a pass that do not fill a batch are left out.

    Yields
    ------
    X : ndarray of shape (batch_size, 784), float32
        Pixels divided by 255.
    y : ndarray of shape (batch_size,), int64
    """
    digits, labels = mnist()[:2]
    if not 1 <= batch_size <= len(digits):
        raise ValueError(f"batch_size must be in 1..{len(digits)}, got {batch_size}")
    rng = np.random.default_rng(seed)
    # Smoothed white noise is a Gaussian process of covariance exp(-d^2 / 4 sigma^2) along each
    # axis; its few leading eigenvectors are enough.
    position = np.arange(SIDE)
    values, vectors = np.linalg.eigh(np.exp(-(np.subtract.outer(position, position) ** 2) / 64.0))
    basis = (vectors * np.sqrt(values.clip(0)))[:, values > 1e-3].astype(np.float32)
    rank = basis.shape[1]
    while True:
        order = rng.permutation(len(digits))
        for start in range(0, len(digits) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            X = digits[rows].reshape(-1, SIDE, SIDE)
            noise = rng.standard_normal((2, batch_size, rank, rank), dtype=np.float32)
            fy, fx = basis @ noise @ basis.T
            b = rng.normal(0, 0.25, (batch_size, 1, 1)).astype(np.float32)
            dy, dx = np.gradient(X, axis=(1, 2))
            X = (X + fx * dx + fy * dy + b * np.hypot(dx, dy)).clip(0, 1)
            padded = np.pad(X, ((0, 0), (1, 1), (1, 1)))
            down, right = rng.integers(0, 3, (2, batch_size, 1, 1))
            sample = np.arange(batch_size)[:, None, None]
            X = padded[sample, position[:, None] + down, position + right]
            yield X.reshape(batch_size, -1), labels[rows]


def many_labels(n_labels, n_rows=50_000, n_features=50_000, seed=0):
    """Generate rows of five labels out of very many.

    A label is a set of 20 features; a row has 13 draws from those of each of its labels, and the
    logarithm of how often each came, at unit length. Frequencies of labels fall with the square
    root of their rank. Features are sets of their own: there is no noise.

    Parameters
    ----------
    n_labels, n_rows, n_features, seed : int

    Returns
    -------
    X_train, Y_train, X_test, Y_test : CSR matrices
        X float32; Y 0 or 1. 2000 test rows.
    """
    rng = np.random.default_rng(seed)
    n, per_row = n_rows + 2000, 5
    features = rng.integers(0, n_features, (n_labels, 20))
    frequency = 1 / np.sqrt(np.arange(1, n_labels + 1))
    labels = rng.choice(n_labels, (n, per_row), p=frequency / frequency.sum())
    drawn = features[labels[:, :, None], rng.integers(0, 20, (n, per_row, 13))].reshape(n, -1)

    def indicator(columns, n_cols):
        rows = np.repeat(np.arange(n), columns.shape[1])
        return sparse.csr_matrix((np.ones(columns.size), (rows, columns.ravel())), (n, n_cols))

    X, Y = indicator(drawn, n_features), indicator(labels, n_labels)
    X.data, Y.data = np.log1p(X.data), np.ones(Y.nnz, dtype=np.int64)
    X = normalize(X).astype(np.float32)
    return X[:n_rows], Y[:n_rows], X[n_rows:], Y[n_rows:]
