"""The tool of vectors and nearest images, and names of the zoo wherever a network is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.embedder import Embedder
from evaluation.protocols import Protocol
from reid.data.decode import decode_image
from reid.errors import UserError
from reid.models.backbones import build_backbone
from reid.models.backbones.weights import load_pretrained
from supernet.trained.zoo import FOLDER, zoo_entries
from tools.jobs.evaluate.checkpoints import open_subject, start_of
from tools.jobs.evaluate.cross_domain import _entry

OSNET = "OSNet-x0.42-market1501"


@pytest.fixture(scope="module")
def run(small_run) -> Path:
    return small_run


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder with two pictures, and one below it that is the first again."""
    root = tmp_path_factory.mktemp("images")
    (root / "more").mkdir()
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, 256, (2, 70, 40, 3), dtype=np.uint8)
    for name, pixels in (("b.png", first), ("a.png", second // 3), ("more/c.png", first)):
        Image.fromarray(pixels).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def test_vectors_and_the_nearest(call, run, images, tmp_path):
    out = tmp_path / "deep" / "features.npz"
    done = call(
        "embed", run, images, images / "b.png", "--out", out, "--query", images / "b.png", "--top", 3, tiny=False
    )
    assert done.code == 0, done.err
    names = [images / name for name in ("a.png", "b.png", "more/c.png", "b.png")]
    expected = Embedder.open(run)([decode_image(name) for name in names])
    with np.load(out) as file:
        np.testing.assert_allclose(file["features"], expected, atol=1e-6)
        assert file["names"].tolist() == [name.as_posix() for name in names]
    first, *lines = done.out.splitlines()
    assert first.startswith("features: (4, 16), of norm 1, in ")
    assert [line.split() for line in lines] == [["1.000", str(names[place])] for place in (1, 2, 3)]
    done = call("embed", run, images / "a.png", "--query", images / "b.png", tiny=False)
    assert done.out.split() == [f"{expected[0] @ expected[1]:.3f}", str(images / "a.png")]
    assert expected[0] @ expected[1] < 0.999


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to do; give --out FILE.npz, --query IMG, or both"),
        (("--out", "f.npy"), "--out f.npy: must end in .npz"),
        (("--out", "f.npz", "--top", "3"), "--top 3: must be at least 1, and needs --query"),
        (("--query", "none.jpg"), "--query none.jpg: there is no such file"),
        (("--query", "b.png", "--replace"), "--replace: is only for --out"),
        (("none", "--out", "f.npz"), "image none does not exist; name image files, or folders of them"),
    ],
)
def test_refusals(call, refused, run, images, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    refused(call("embed", run, images, *arguments, tiny=False), message)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_replaced_only_when_asked(call, refused, run, images, tmp_path):
    out = tmp_path / "f.npz"
    out.write_bytes(b"of an earlier call")
    refused(call("embed", run, images, "--out", out, tiny=False), "f.npz already exists; .*--replace to write it")
    assert out.read_bytes() == b"of an earlier call"
    assert call("embed", run, images, "--out", out, "--replace", tiny=False).code == 0
    with np.load(out) as file:
        assert file["features"].shape == (3, 16)


def test_folders_and_files_without_images(call, refused, run, images, tmp_path):
    out = ("--out", tmp_path / "f.npz")
    (tmp_path / "empty").mkdir()
    refused(call("embed", run, tmp_path / "empty", *out, tiny=False), "empty contains no images; name another")
    refused(call("embed", run, images / "notes.txt", *out, tiny=False), "notes.txt is unreadable or cut off")
    assert not (tmp_path / "f.npz").exists()


@pytest.mark.parametrize("tool", ["evaluate", "visualize", "cross_domain", "export", "embed"])
def test_a_wrong_name_is_answered_with_the_nearest(call, refused, images, tmp_path, tool):
    more = {"cross_domain": ("--datasets", "msmt17"), "embed": (images,)}.get(tool, ())
    out = tmp_path / ("f.npz" if tool == "embed" else "out")
    done = call(tool, "OSNet-x0.42-market1510", *more, "--out", out, tiny=tool != "embed")
    refused(done, f"'OSNet-x0.42-market1510' is neither a run folder nor a file, and in the zoo .*; nearest: {OSNET}")
    assert not out.exists()


def test_the_zoo_says_what_a_network_was_trained_on(make_job, tmp_path):
    entry, job = zoo_entries()[0], make_job(tmp_path)
    for name in (entry.name, entry.name.lower()):
        subject, train_set = open_subject(job, Path(name), None, tmp_path, Protocol())
        assert train_set == entry.train_set and subject.input_size == entry.input_size
        assert subject.about["weights_sha256"] == entry.sha256
    row = _entry(job, Path(entry.name), entry.name, Protocol())
    assert (row.name, row.train_set, row.reason) == (entry.name, entry.train_set, "")
    assert row.subject.fingerprint == subject.fingerprint


def test_a_training_begins_with_weights_of_the_zoo(run):
    assert start_of("imagenet") == "imagenet" and start_of(str(run)) == run / "last.safetensors"
    report = load_pretrained(build_backbone("osnet_x0_42"), start_of(OSNET))
    assert start_of(OSNET) == FOLDER / f"{OSNET}.safetensors" and not report.missing
    with pytest.raises(
        UserError, match=f"^--weights: 'OSNet-x0.42'.*nearest: {OSNET}.*ImageNet weights give imagenet$"
    ):
        start_of("OSNet-x0.42")
