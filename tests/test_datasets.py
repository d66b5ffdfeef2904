"""Files of the extreme classification repository."""

import gzip
import tracemalloc
from io import BytesIO, StringIO

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_lsh.datasets import dump_multilabel, iter_multilabel, load_multilabel

GOOD = b"3 4 2\n0,1 0:1.5 3:2\n1 1:1\n 2:1\n"


def test_reads_rows_and_labels():
    X, Y = load_multilabel(BytesIO(GOOD))
    np.testing.assert_array_equal(X.toarray(), [[1.5, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(Y.toarray(), [[1, 1], [0, 1], [0, 0]])
    assert X.dtype == np.float32 and sp.issparse(Y)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(1, 9))
def test_round_trip(seed, n_rows, chunk_size):
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, 6, density=0.4, random_state=rng, dtype=np.float32).tocsr()
    Y = sp.csr_matrix(rng.random((n_rows, 5)) < 0.3).astype(int)
    file = BytesIO()
    if n_rows:
        dump_multilabel(X, Y, file)
    else:
        file.write(b"0 6 5\n")
    file.seek(0)
    whole = load_multilabel(file)
    for part, expected in zip(whole, (X, Y), strict=True):
        np.testing.assert_array_equal(part.toarray(), expected.toarray())
    file.seek(0)
    chunks = list(iter_multilabel(file, chunk_size))
    assert sum(part.shape[0] for part, _ in chunks) == n_rows
    if n_rows:
        for i in (0, 1):
            stacked = sp.vstack([chunk[i] for chunk in chunks])
            np.testing.assert_array_equal(stacked.toarray(), whole[i].toarray())


def test_rows_without_features_store_none():
    X, _ = load_multilabel(BytesIO(b"3 4 2\n0 \n\n1 2:0\n"))
    assert X.nnz == 0


def test_truth_values_are_numbers():
    file = BytesIO()
    dump_multilabel(sp.csr_matrix([[True, False]]), [[1]], file)
    assert file.getvalue() == b"1 2 1\n0 0:1\n"


def test_compressed_files(tmp_path):
    path = tmp_path / "rows.txt.gz"
    X, Y = load_multilabel(BytesIO(GOOD))
    dump_multilabel(X, Y, path)
    assert gzip.decompress(path.read_bytes()).startswith(b"3 4 2\n")
    for part, expected in zip(load_multilabel(path), (X, Y), strict=True):
        np.testing.assert_array_equal(part.toarray(), expected.toarray())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1"),
        (b"3 4\n0 0:1\n", "line 1"),
        (b"x 4 2\n0 0:1\n", "line 1"),
        (b"2 4 2\n0 0:1\n", "line 3: the file ends after 1 of 2"),
        (b"1 4 2\n0 0:1\n1 1:1\n", "line 3: more rows"),
        (b"2 4 2\n0 0:1\n2 1:1\n", "line 3: labels are 0 to 1, got 2"),
        (b"2 4 2\n0 0:1\n-1 1:1\n", "line 3: labels are 0 to 1, got -1"),
        (b"2 4 2\n0 0:1\n0.5 1:1\n", "line 3: labels are 0 to 1, got 0.5"),
        (b"2 4 2\n0 0:1\n1,0,1 1:1\n", "line 3: labels stand once in a row, got 1"),
        (b"2 4 2\n0 0:1\n1 4:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 -1:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 2:1 1:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 1:1 1:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 1:x\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 1\n", "line 3"),
        (b"2 4 2\n0 0:1\na 1:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 1:nan\n", "line 3"),
        (b"2 4 2\n0 0:1\n# nothing\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 4294967297:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 1:1 # 2:1\n", "line 3"),
        (b"2 4 2\n0 0:1\n1 qid:3 1:1\n", "line 3"),
        (b"1 0 2\n0 \n", "line 1"),
        (b"1 3 99999999999999999999\n0 0:1\n", "line 1"),
        (b"99999999999999999999 3 2\n0 0:1\n", "line 1"),
    ],
)
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_errors_name_the_line(text, message, chunk_size):
    with pytest.raises(ValueError, match=message):
        if chunk_size is None:
            load_multilabel(BytesIO(text))
        else:
            list(iter_multilabel(BytesIO(text), chunk_size))


@pytest.mark.parametrize("dtype", [np.float16, object, int])
def test_values_are_of_single_or_double_precision(dtype):
    with pytest.raises(ValueError, match="dtype"):
        load_multilabel(BytesIO(GOOD), dtype=dtype)
    with pytest.raises(ValueError, match="dtype"):
        iter_multilabel(BytesIO(GOOD), dtype=dtype)


def test_files_of_text_are_refused():
    with pytest.raises(TypeError, match="binary"):
        load_multilabel(StringIO(GOOD.decode()))


@pytest.mark.parametrize(
    "value, shape, message", [(1e308, (1, 3), "X has entries"), (1.0, (1, 2**31), "X may have")]
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, value, shape, message):
    X = sp.csr_matrix(([value, value], [0, 0], [0, 2]), shape=shape)
    with pytest.raises(ValueError, match=message):
        dump_multilabel(X, sp.csr_matrix([[1]]), tmp_path / "rows.txt")
    assert not (tmp_path / "rows.txt").exists()


def test_chunks_take_the_memory_of_a_chunk(tmp_path):
    path = tmp_path / "rows.txt"
    with path.open("wb") as file:
        file.write(b"40000 50 10\n" + b"1,2 3:0.5 10:0.25 20:1 30:1 40:1\n" * 40000)
    tracemalloc.start()
    load_multilabel(path)
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    tracemalloc.start()
    n_rows = sum(X.shape[0] for X, _ in iter_multilabel(path, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 40000 and peak < whole / 10


@pytest.mark.parametrize("change", ["cut", "text", "flip"])
def test_a_broken_gzip_file_is_an_error_of_values(tmp_path, change):
    packed = bytearray(gzip.compress(GOOD))
    packed[12] ^= 0xFF if change == "flip" else 0
    path = tmp_path / "rows.txt.gz"
    path.write_bytes({"cut": packed[:-9], "text": GOOD, "flip": packed}[change])
    with pytest.raises(ValueError, match=r"rows\.txt\.gz"):
        load_multilabel(path)
