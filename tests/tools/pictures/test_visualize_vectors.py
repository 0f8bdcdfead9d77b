"""``tools/visualize.py`` on vectors that are there already: no network, no data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.features.files import save_features
from evaluation.features.vector_files import label_vectors
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import MARKET1501
from evaluation.tsne import labelled_plane
from reid.errors import UserError
from reid.files import read_json

pytest.importorskip("sklearn")
LABELS = np.repeat(["ann", "bob", "cleo", "dee"], 8)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Four labels eight standard deviations apart."""
    draw = np.random.default_rng(0)
    return (draw.normal(size=(32, 6)) + np.repeat(8 * draw.normal(size=(4, 6)), 8, axis=0)).astype(np.float32)


@pytest.fixture
def draw(call, tmp_path):
    def run(source: object, *options: object):
        return call("visualize", source, "--out", tmp_path / "out", *options, tiny=False)

    return run


def test_what_embed_writes(draw, tmp_path, vectors, read_page):
    names = [f"crops/{name}/{number}.jpg" for number, name in enumerate(LABELS)]
    np.savez(tmp_path / "f.npz", features=vectors, names=names)
    done = draw(tmp_path / "f.npz")
    assert done.code == 0, done.err
    assert f"pictures: {tmp_path / 'out' / 'index.html'}" in done.out
    facts = read_json(tmp_path / "out" / "pictures.json")
    assert facts["pictures"] == ["tsne.png"] and facts["source"] == "f.npz"
    assert (facts["tsne"]["images"], facts["tsne"]["labels"], facts["tsne"]["metric"]) == (32, 4, "cosine")
    page = read_page(tmp_path / "out" / "index.html")
    assert page.pictures == [(tmp_path / "out" / "tsne.png").read_bytes()]
    assert draw(tmp_path / "f.npz").code == 2  # pictures are there already
    first = page.pictures[0]
    assert draw(tmp_path / "f.npz", "--resume").code == 0
    assert (tmp_path / "out" / "tsne.png").read_bytes() == first


def test_chosen_labels_and_a_file_of_them(draw, tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    (tmp_path / "l.txt").write_text("\n".join(LABELS))
    done = draw(tmp_path / "v.npy", "--labels", tmp_path / "l.txt", "--persons", 2, "--pids", "dee", "--images", 9)
    assert done.code == 0, done.err
    told = read_json(tmp_path / "out" / "pictures.json")["tsne"]
    assert (told["images"], told["labels"], told["perplexity"]) == (9, 2, 3)


def test_a_feature_file_of_query_and_gallery(draw, tmp_path, vectors):
    pids, camids = torch.tensor(np.repeat([-1, 0, 3, 4], 8)), torch.ones(32, dtype=torch.int64)
    whole = LabeledFeatures(torch.tensor(vectors), pids, camids)
    query = torch.arange(32) % 8 == 0
    save_features(tmp_path / "f.npz", RetrievalFeatures(whole.select(query), whole.select(~query), MARKET1501))
    done = draw(tmp_path / "f.npz", "--metric", "euclidean")
    assert done.code == 0, done.err
    told = read_json(tmp_path / "out" / "pictures.json")["tsne"]
    assert (told["images"], told["labels"], told["metric"]) == (16, 2, "euclidean")  # nobody is left out
    assert draw(tmp_path / "f.npz", "--images", 5, "--replace").code == 0
    assert read_json(tmp_path / "out" / "pictures.json")["tsne"]["images"] == 5


def test_all_that_are_named_are_shown_unless_fewer_are_asked_for(draw, tmp_path):
    np.savez(tmp_path / "f.npz", features=np.random.default_rng(0).normal(size=(39, 4)), labels=np.arange(39) % 13)
    named = ("--pids", *range(12))
    for options, shown in ((named, 12), ((*named, "--persons", 3), 3), ((), 10)):
        assert draw(tmp_path / "f.npz", *options, "--replace").code == 0
        assert read_json(tmp_path / "out" / "pictures.json")["tsne"]["labels"] == shown


def test_digits(draw, tmp_path):
    done = draw("digits", "--images", 60, "--persons", 3, "--pids", 7, 1, 4)
    assert done.code == 0, done.err
    told = read_json(tmp_path / "out" / "pictures.json")
    assert told["source"] == "scikit-learn's digits" and told["tsne"]["metric"] == "euclidean"
    assert (told["tsne"]["images"], told["tsne"]["labels"]) == (60, 3)


def test_mnist_of_ones_own(draw, tmp_path, write_mnist, read_page):
    """Ten images of each of four digits, each digit a bar in a place of its own."""
    digits = np.repeat([1, 4, 7, 9], 10)
    images = np.random.default_rng(0).integers(0, 40, (40, 28, 28))
    for image, digit in zip(images, digits, strict=True):
        image[2 * digit : 2 * digit + 4] = 255
    write_mnist(tmp_path / "MNIST" / "raw", images, digits)
    done = draw("mnist", "--data", tmp_path, "--persons", 3, "--pids", 9)
    assert done.code == 0, done.err
    told = read_json(tmp_path / "out" / "pictures.json")
    assert told["source"] == "MNIST's test digits"
    assert (told["tsne"]["images"], told["tsne"]["labels"], told["tsne"]["metric"]) == (30, 3, "euclidean")
    page = read_page(tmp_path / "out" / "index.html")
    assert page.pictures == [(tmp_path / "out" / "tsne.png").read_bytes()]
    assert {"MNIST's test digits", "30 of 3 digits"} <= set(page.all("dd"))


def test_what_a_network_learns_of_digits(draw, tmp_path, write_mnist, read_page):
    """Half of them is drawn, as a network sees them that was trained on the other half."""
    digits = np.repeat([0, 4, 9], 12)
    images = np.random.default_rng(0).integers(0, 256, (36, 28, 28))
    for image, digit in zip(images, digits, strict=True):
        image[2 * digit : 2 * digit + 6] = 255
    write_mnist(tmp_path / "MNIST" / "raw", images, digits)
    done = draw("mnist", "--data", tmp_path, "--learn")
    assert done.code == 0, done.err
    assert "training on half of MNIST's test digits, 120 steps of the triplet loss" in done.out
    told = read_json(tmp_path / "out" / "pictures.json")
    assert (told["tsne"]["images"], told["tsne"]["labels"], told["tsne"]["metric"]) == (18, 3, "cosine")
    assert told["learnt"]["digits"] == 18
    mAP = told["learnt"]["mAP"]
    assert 0 < mAP["pixels"] <= 1 and 0.9 < mAP["embeddings"] <= 1
    assert f"{100 * mAP['embeddings']:.1f} %" in read_page(tmp_path / "out" / "index.html").all("dd")
    assert draw("mnist", "--data", tmp_path, "--replace").code == 0
    assert "learnt" not in read_json(tmp_path / "out" / "pictures.json")


def test_neighbours_have_the_same_label(vectors):
    plane = labelled_plane(label_vectors(vectors, LABELS))
    between = np.linalg.norm(plane.points[:, None] - plane.points[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert (plane.pids[between.argmin(axis=1)] == plane.pids).mean() > 0.95


def test_what_cannot_be_laid_out(vectors):
    few = label_vectors(vectors[:4], np.array(["a", "a", "b", "b"]))
    with pytest.raises(UserError, match="no label has at least three vectors"):
        labelled_plane(few)
    same = label_vectors(np.ones((6, 2)), np.array(["a"] * 6))
    with pytest.raises(UserError, match="all 6 images have the same embedding"):
        labelled_plane(same)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--kinds", "tsne", "ranked"), "--kinds ranked: needs a network; of vectors only a t-SNE can be drawn"),
        (("--worst",), "--worst: needs a network; leave it out"),
        (("--activations-in-lists",), "--activations-in-lists: needs a network"),
        (("--data", "."), "--data .: vectors need no data set"),
        (("--labels", "l.txt"), "--labels l.txt: digits has labels of its own"),
        (("--images", 2), "--images 2: must be at least 3"),
        (("--persons", 21), "--persons 21: must be from 1 to 20"),
        (("--pids", "12"), "--pids 12: digits has no such label; nearest: "),
        (("--perplexity", 4000), "--perplexity 4000: must be between 0 and"),
    ],
)
def test_options_that_do_not_fit(draw, tmp_path, refused, options, message):
    refused(draw("digits", *options), message)
    assert not (tmp_path / "out").exists()


def test_mnist_and_files_that_are_not_there(draw, tmp_path, refused):
    refused(draw("mnist", "--data", tmp_path), "contains no MNIST; put t10k-images")
    refused(draw(tmp_path / "f.npz"), "f.npz does not exist; name a file of features")
    refused(draw("some-network", "--labels", "x.txt"), "--labels: is only for vectors in a file")
    refused(
        draw("some-network", "--learn"), "--learn: is only for mnist and digits, but some-network is read as a network"
    )
    refused(
        draw(tmp_path / "f.npz", "--learn"), "--learn: is only for mnist and digits; the vectors in .*f.npz are drawn"
    )
