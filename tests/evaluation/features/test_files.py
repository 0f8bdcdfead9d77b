"""Feature files: what is written comes back, other programs' files are read, and broken ones are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.features.files import load_features, save_features
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import MARKET1501, RECORDS
from reid.errors import UserError


def plain_arrays(**changes) -> dict[str, np.ndarray]:
    arrays = {}
    for name, count in (("query", 3), ("gallery", 5)):
        arrays[f"{name}_features"] = np.arange(count * 4, dtype=np.float64).reshape(count, 4)
        arrays[f"{name}_pids"] = np.arange(count, dtype=np.int32) + 1
        arrays[f"{name}_camids"] = np.arange(count) % 2
    arrays.update(changes)
    return {name: value for name, value in arrays.items() if value is not None}


def test_round_trip(tmp_path):
    random = torch.Generator().manual_seed(0)
    sides = [
        LabeledFeatures(torch.randn(n, 6, generator=random), torch.arange(n), torch.arange(n) + 1, ids)
        for n, ids in ((4, np.array(["a", "b", "ü", "d"])), (7, np.array(list("abcdefg"))))
    ]
    about = {"network": "MLR-210M-A", "flip": True, "size": [64, 32]}
    path = save_features(tmp_path / "new" / "f.npz", RetrievalFeatures(*sides, RECORDS, True, about))
    read = load_features(path)
    assert (read.rule, read.single_gallery_shot, read.about) == (RECORDS, True, about)
    for side, other in zip((read.query, read.gallery), sides, strict=True):
        assert torch.equal(side.features, other.features) and side.features.dtype == torch.float32
        assert torch.equal(side.pids, other.pids) and torch.equal(side.camids, other.camids)
        assert side.ids.tolist() == other.ids.tolist()
    assert [file.name for file in path.parent.iterdir()] == ["f.npz"]


def test_selection_keeps_rows_together():
    side = LabeledFeatures(torch.eye(3), torch.tensor([5, 6, 7]), torch.tensor([1, 2, 3]), np.array(["a", "b", "c"]))
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        part = side.select(index)
        assert {pid: name for pid, name in zip(part.pids.tolist(), part.ids, strict=True)} == {5: "a", 7: "c"}
        assert torch.equal(part.features, side.features[part.pids - 5]) and torch.equal(part.camids, part.pids - 4)


def test_files_of_other_programs(tmp_path):
    """Camera 0 is a camera there, double precision becomes single."""
    np.savez(tmp_path / "f.npz", **plain_arrays())
    read = load_features(tmp_path / "f.npz")
    assert read.rule == MARKET1501 and read.about == {} and read.query.ids is None
    assert read.query.features.dtype == torch.float32 and read.gallery.camids.tolist() == [0, 1, 0, 1, 0]
    np.savez(tmp_path / "f.npz", **plain_arrays(query_camids=None, gallery_camids=None))
    assert not load_features(tmp_path / "f.npz").rule.same_camera_is_junk


NAN = np.array([[1, np.nan, 1, 1]] * 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gallery_pids": None}, "has no gallery_pids; it contains query_features"),
        ({"query_features": np.zeros((3, 5))}, "query features have 5 numbers, gallery features 4"),
        ({"query_features": np.zeros((2, 4))}, r"query_pids has shape \(3,\), but there are 2 features"),
        ({"query_features": np.zeros(3)}, r"must be floats of shape \(images, numbers\), got float64 of shape \(3,\)"),
        ({"query_features": np.zeros((3, 4), dtype=np.int64)}, "got int64"),
        ({"query_features": np.zeros((0, 4)), "query_pids": np.zeros(0, dtype=int)}, r"of shape \(0, 4\)"),
        ({"query_features": NAN}, "query_features contain NaN or infinite values"),
        ({"gallery_features": np.full((5, 4), 1e300)}, "gallery_features contain NaN or infinite"),
        ({"query_pids": np.array([1.5, 2, 3])}, "query_pids must be whole numbers, got float64"),
        ({"query_pids": np.array(["1", "2", "3"])}, "query_pids must be whole numbers"),
        ({"gallery_camids": None}, "give query_camids and gallery_camids, or neither"),
        ({"query_ids": np.array(["a", "b", "c"])}, "give query_ids and gallery_ids, or neither"),
        ({"query_ids": np.array(["a"])}, "query_ids has shape"),
        ({"about": np.array("{")}, "about is not valid JSON"),
        ({"about": np.array('{"loss": NaN}')}, "about is not valid JSON"),
        ({"about": np.array('{"single_gallery_shot": "false"}')}, 'must be true or false, got "false"'),
        ({"about": np.array("[1]")}, "must be JSON objects"),
        ({"about": np.array('{"rule": {"junk": [1]}}')}, "rule: unknown key 'junk'; nearest: junk_pids"),
        ({"query_pids": np.array([{}, {}, {}])}, "not a readable feature file.*allow_pickle"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_broken_files_are_named(tmp_path, changes, message):
    path = tmp_path / "f.npz"
    np.savez(path, **plain_arrays(**changes))
    with pytest.raises(UserError, match=message) as error:
        load_features(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_named(tmp_path):
    """Whichever byte is wrong: what that does to a directory, a header or a stream is raised in many ways."""
    np.savez_compressed(tmp_path / "f.npz", **plain_arrays())
    content, damaged, named = (tmp_path / "f.npz").read_bytes(), tmp_path / "damaged.npz", 0
    for place in range(0, len(content), 7):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x63]) + content[place + 1 :])
        try:
            load_features(damaged)
        except UserError as error:
            named += "damaged.npz is not a readable feature file" in str(error)
    assert named > len(content) / 14


def test_files_of_another_kind(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_features(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no features")
    np.savez(tmp_path / "whole.npz", **plain_arrays())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:400])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("text", "cut", "empty"):
        with pytest.raises(
            UserError, match=rf"{name}.npz is not a readable feature file \(not an archive of arrays as .*savez"
        ):
            load_features(tmp_path / f"{name}.npz")
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="single array"):
        load_features(tmp_path / "single.npz")
    with pytest.raises(UserError, match="must end in .npz"):
        save_features(tmp_path / "f.npy", load_features(tmp_path / "whole.npz"))
