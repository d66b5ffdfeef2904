"""The demonstration, run as a user would."""

import builtins
import re

import numpy as np
import pytest

from sklearn_lsh import __main__ as demo


def test_digits_end_to_end(tmp_path, capsys):
    path = tmp_path / "curves.png"
    demo.main(["--epochs", "2", "--selector", "sketch", "--output", str(path)])
    out = capsys.readouterr().out
    assert re.findall(r"epoch +(\d)/2", out) == ["1", "2"] * 2
    for row in ("test accuracy, last epoch", "fit time", "multiplications, training", "refresh",
                "recall of active set, layer 1", "recall of active set, layer 2"):  # fmt: skip
        assert row in out
    full, ours = re.search(r"multiplications, training +(\S+) +(\S+)", out).groups()
    assert 0 < float(ours) < 0.2 * float(full)
    assert f"Picture saved: {path}" in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_no_picture_without_matplotlib(tmp_path, monkeypatch):
    normal = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return normal(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert demo.picture([], "digits", tmp_path / "none.png") is None


@pytest.mark.parametrize(
    ("names", "top"),
    [
        (["X_train", "y_train", "X_test", "y_test"], 255),
        (["x_train", "y_train", "x_test", "y_test"], 1),
    ],
)
def test_npz_of_bytes_or_shares(tmp_path, names, top):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(30, 4, 4))
    pixels.flat[:2] = 0, 255
    X = pixels.astype(np.uint8) if top == 255 else pixels / 255
    y = np.arange(30) % 3
    np.savez(tmp_path / "data.npz", **dict(zip(names, (X, y, X[:10], y[:10]), strict=True)))
    X_train, X_test, y_train, y_test = demo.load(str(tmp_path / "data.npz"), seed=0)
    rows = pixels.reshape(30, 16) / 255
    np.testing.assert_allclose(X_train, rows - rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(X_test, X_train[:10])
    assert X_train.dtype == np.float32
    assert (len(y_train), len(y_test)) == (30, 10)


def test_data_that_cannot_be_had(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="neither digits, mnist nor a file"):
        demo.main(["--data", str(tmp_path / "absent.npz")])
    np.savez(tmp_path / "odd.npz", X_train=np.zeros((3, 2)))
    with pytest.raises(SystemExit, match="has no X_test; it holds X_train"):
        demo.main(["--data", str(tmp_path / "odd.npz")])
    with pytest.raises(SystemExit, match=r"0\.\.255"):
        demo.scaled([[-1.0, 2.0]])

    def unreachable(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(demo, "fetch_openml", unreachable)
    with pytest.raises(SystemExit, match=r"no route to host.*--data mnist\.npz"):
        demo.main(["--data", "mnist"])


@pytest.mark.parametrize("option", [["--density", "0"], ["--epochs", "0"], ["--output", "a/b/c"]])
def test_options_out_of_range(option):
    with pytest.raises(SystemExit, match="2"):
        demo.main(option)
