"""Vectors with labels, from the files that people have; and digits, from files made here in MNIST's format."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation.features.digits import IMAGES, LABELS, mnist_pixels, sklearn_digits
from evaluation.features.vector_files import LabelledVectors, label_vectors, read_labelled
from reid.errors import UserError

VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)


def spelled(given: LabelledVectors) -> list[str]:
    return [given.names[label] for label in given.labels]


def write(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


@pytest.mark.parametrize(("key", "labels"), [("features", "labels"), ("X", "y"), ("embeddings", "targets")])
def test_arrays_by_the_names_that_people_give_them(tmp_path, key, labels):
    given = read_labelled(write(tmp_path / "a.npz", **{key: VECTORS.astype(float), labels: [7, 7, 10, 2, 2, 10]}))
    assert spelled(given) == ["7", "7", "10", "2", "2", "10"] and given.names == ("2", "7", "10")
    assert given.vectors.dtype == np.float32 and given.word == "label" and not given.camids.any()
    np.testing.assert_array_equal(given.vectors, VECTORS)


def test_persons_and_cameras_by_arrays(tmp_path):
    given = read_labelled(write(tmp_path / "a.npz", features=VECTORS, pids=[5, 5, 5, 1, 1, 1], camids=[1, 2, 3] * 2))
    assert (given.word, given.camids.tolist()) == ("person", [1, 2, 3] * 2)


@pytest.mark.parametrize("pids", [[-1, 7, 0, 7, 10, 0], ["-1", "7", "0000", "7", "10", "0"]])
def test_nobody_in_particular_is_left_out_of_pids_but_not_of_labels(tmp_path, pids):
    given = read_labelled(write(tmp_path / "a.npz", features=VECTORS, pids=pids, camids=range(6)))
    assert (spelled(given), given.camids.tolist()) == (["7", "7", "10"], [1, 3, 4])
    np.testing.assert_array_equal(given.vectors, VECTORS[[1, 3, 4]])
    labels = read_labelled(write(tmp_path / "b.npz", features=VECTORS, labels=pids))
    assert spelled(labels) == list(map(str, pids))


def test_file_names_of_market_1501_tell_person_and_camera_and_nobody_is_left_out(tmp_path):
    names = ["a/0002_c1s1_000451_03.jpg", "b/0002_c3s1_1_1.jpg", "0000_c1s1_1_1.jpg", "-1_c2s1_1_1.jpg"]
    names += ["0010_c2_f0046985.jpg", "0010_c6.png"]
    given = read_labelled(write(tmp_path / "a.npz", features=VECTORS, names=names))
    assert (spelled(given), given.camids.tolist()) == (["2", "2", "10", "10"], [1, 3, 2, 6])
    np.testing.assert_array_equal(given.vectors, VECTORS[[0, 1, 4, 5]])


def test_folders_tell_labels(tmp_path):
    names = ["q/ann/1.jpg", "g/ann/1.jpg", "bob/0002_c1.jpg", "bob/x.jpg", "q/cleo/1.jpg", "cleo/2.jpg"]
    given = read_labelled(write(tmp_path / "a.npz", features=VECTORS, names=names))
    assert spelled(given) == ["ann", "ann", "bob", "bob", "cleo", "cleo"] and not given.camids.any()


def test_labels_of_another_file_go_first(tmp_path):
    np.save(tmp_path / "a.npy", VECTORS)
    np.save(tmp_path / "l.npy", np.array([1, 1, 2, 2, 3, 3]))
    (tmp_path / "l.txt").write_text("x\nx\ny\n\ny\n z\nz\n")
    assert spelled(read_labelled(tmp_path / "a.npy", tmp_path / "l.npy")) == ["1", "1", "2", "2", "3", "3"]
    assert spelled(read_labelled(tmp_path / "a.npy", tmp_path / "l.txt")) == ["x", "x", "y", "y", "z", "z"]
    both = write(tmp_path / "b.npz", features=VECTORS, labels=[9] * 6)
    assert read_labelled(both, tmp_path / "l.txt").names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": VECTORS}, "has no array called features or embeddings or vectors or x; it contains other"),
        (
            {"features": VECTORS[0], "labels": [1, 2]},
            r"features must be numbers of shape \(N, D\), but is float32 of shape \(2,\)",
        ),
        ({"features": VECTORS * np.nan, "labels": [1] * 6}, "features contains NaN or infinite values"),
        ({"features": VECTORS, "labels": [1, 2]}, "labels must be 6 whole numbers or strings.* of shape"),
        ({"features": VECTORS, "labels": [0.5] * 6}, "labels must be 6 whole numbers or strings.* float64"),
        ({"features": VECTORS, "pids": [1] * 6, "camids": ["a"] * 6}, "camids must be whole numbers"),
        ({"features": VECTORS}, "has no labels: add an array called labels or .*, or give --labels FILE"),
        ({"features": VECTORS, "names": list("abcdef")}, "the names contain no labels, .*; give --labels FILE"),
        ({"features": VECTORS, "names": ["0000_c1.jpg"] * 6}, r"all persons are junk \(-1\) or distractors \(0\)"),
        ({"features": VECTORS, "pids": [0, -1] * 3}, r"all persons are junk \(-1\) or distractors \(0\)"),
        ({"features": np.array([[{}]]), "labels": [1]}, "is not a readable file of arrays"),  # would be unpickled
    ],
)
def test_files_that_do_not_do(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message):
        read_labelled(write(tmp_path / "a.npz", **arrays))


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.npz").write_text("text")
    np.save(tmp_path / "v.npy", VECTORS)
    for path, labels, message in (
        ("a.npz", None, "a.npz is not a readable file of arrays"),
        ("b.npz", None, "b.npz does not exist; name a file of features"),
        ("v.npy", "l.txt", "--labels .*l.txt: there is no such file; give .npy"),
        ("v.npy", ".", "--labels .*: cannot be read; give .npy, or a text"),
    ):
        with pytest.raises(UserError, match=message):
            read_labelled(tmp_path / path, labels and tmp_path / labels)


def test_labels_of_windows_are_those_of_others(tmp_path):
    """Its editors put a mark in front of UTF-8, and a return behind each line."""
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "l.txt").write_bytes("\ufeffä\r\nä\r\nb\r\nä\r\nb\r\nb\r\n".encode())
    assert read_labelled(tmp_path / "v.npy", tmp_path / "l.txt").names == ("b", "ä")


def test_bytes_are_read_as_utf_8(tmp_path):
    """As h5py and Python 2 hand strings on."""
    words = ["ä", "ä", "b", "ä", "b", "b"]
    given = read_labelled(write(tmp_path / "a.npz", features=VECTORS, labels=[word.encode() for word in words]))
    assert spelled(given) == words
    folders = [f"{word}/1.jpg".encode() for word in words]
    assert spelled(read_labelled(write(tmp_path / "b.npz", features=VECTORS, names=folders))) == words
    other = [word.encode("latin-1") for word in words]
    with pytest.raises(UserError, match="c.npz: labels contains bytes that are not UTF-8; save them as strings"):
        read_labelled(write(tmp_path / "c.npz", features=VECTORS, labels=other))


def test_vectors_that_float32_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="features contains NaN or infinite values"):
        read_labelled(write(tmp_path / "a.npz", features=VECTORS.astype(float) * 1e300, labels=range(6)))


def test_labels_of_an_archive_that_is_called_an_array(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    write(tmp_path / "l.npz", labels=range(6)).rename(tmp_path / "l.npy")
    with pytest.raises(UserError, match="--labels .*l.npy: contains several arrays, or one with a name"):
        read_labelled(tmp_path / "v.npy", tmp_path / "l.npy")


def test_strings_that_are_numbers_are_in_the_order_of_numbers():
    assert label_vectors(VECTORS[:3], np.array(["10", "9", "10"])).names == ("9", "10")


def test_strings_that_are_numbers_stay_as_they_are_written(tmp_path):
    given = label_vectors(VECTORS, np.array(["10", "01", "1", "0002", "1", "01"]))
    assert spelled(given) == ["10", "01", "1", "0002", "1", "01"] and given.names == ("01", "1", "0002", "10")
    names = [f"{folder}/x.jpg" for folder in ("0002", "0002", "0010", "0010", "0001", "0001")]
    folders = read_labelled(write(tmp_path / "a.npz", features=VECTORS, names=names))
    assert folders.names == ("0001", "0002", "0010")  # what --pids takes


def test_numbers_that_are_too_long_to_count_with_are_words(tmp_path):
    long = "20240131235959123456"
    given = label_vectors(VECTORS[:3], np.array([long, "9", long]))
    assert spelled(given) == [long, "9", long] and given.names == (long, "9")
    names = [f"{folder}/{long}_c1.jpg" for folder in "aabbcc"]
    assert spelled(read_labelled(write(tmp_path / "a.npz", features=VECTORS, names=names))) == list("aabbcc")


# ---- digits


def test_mnist_as_torchvision_leaves_it(tmp_path, monkeypatch, write_mnist):
    monkeypatch.delenv("REID_DATA", raising=False)
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28))
    write_mnist(tmp_path / "data" / "MNIST" / "raw", images, np.array([3, 0, 3, 9]))
    for given in (None, tmp_path / "data" / "MNIST" / "raw", tmp_path / "data"):
        digits = mnist_pixels(given, tmp_path)
        assert spelled(digits) == ["3", "0", "3", "9"] and digits.word == "digit"
        np.testing.assert_allclose(digits.vectors, images.reshape(4, -1) / 255, rtol=1e-6)


def test_mnist_that_is_not_there_or_not_whole(tmp_path, monkeypatch, write_mnist):
    monkeypatch.delenv("REID_DATA", raising=False)
    with pytest.raises(UserError, match="no MNIST under .*data; put t10k.* or give digits as SOURCE"):
        mnist_pixels(None, tmp_path)
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw, np.zeros((4, 28, 28)), np.zeros(3))
    with pytest.raises(UserError, match="has 4 images and 3 labels"):
        mnist_pixels(None, tmp_path)
    (raw / IMAGES).write_bytes((raw / IMAGES).read_bytes()[:100])
    with pytest.raises(UserError, match="MNIST in .* is damaged"):
        mnist_pixels(None, tmp_path)
    (raw / LABELS).unlink()
    (raw / IMAGES).unlink()
    write_mnist(tmp_path / "half", np.zeros((4, 28, 28)), np.zeros(4))
    (tmp_path / "half" / LABELS).unlink()
    with pytest.raises(UserError, match=f"lacks {LABELS}"):
        mnist_pixels(tmp_path / "half", tmp_path)


def test_scikit_learns_digits(monkeypatch):
    pytest.importorskip("sklearn")
    digits = sklearn_digits()
    assert digits.vectors.shape == (1797, 64) and digits.names == tuple("0123456789")
    assert digits.word == "digit"
    assert digits.vectors.min() == 0 and digits.vectors.max() == 1
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        sklearn_digits()
