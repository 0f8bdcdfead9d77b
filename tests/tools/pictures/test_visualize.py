"""``tools/visualize.py``: whom it shows, in what order, where it writes, and what it refuses."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from evaluation.comparison.row import ResultRow, write_result
from evaluation.protocols import Protocol
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import RECORDS
from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from reid.files import read_json
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import load_space
from supernet.space.genome import smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, save_supernet
from tools.jobs.data import open_source
from tools.jobs.evaluate.subject import Subject, features_on_test, network_subject
from tools.jobs.pictures import album
from tools.jobs.pictures.draw import left_out, possible_kinds
from tools.jobs.pictures.request import Request

SPACE = load_space("tiny").at((64, 32))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A network with random weights, and what its folder says of its training."""
    folder = tmp_path_factory.mktemp("run") / "first"
    arch = smallest(SPACE)
    torch.manual_seed(0)
    spec = NetworkSpec("first", arch, arch.input_size)
    save_weights(folder / "last.safetensors", build(spec), spec_to_dict(spec))
    row = ResultRow("first", "searched", 0.1, 0.1, 1, 1, None, 1, 0, arch.input_size, "first-set: 9 identities", "run")
    write_result(folder, row)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Photographs without cameras: four persons with names, four images each."""
    folder = tmp_path_factory.mktemp("shop")
    draw = np.random.default_rng(0)
    for name in ("ann", "bob", "cleo", "dee"):
        for part, count in (("query", 1), ("gallery", 3)):
            for number in range(count):
                path = folder / part / name / f"{part}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw.integers(0, 256, (60, 30, 3), dtype=np.uint8)).save(path)
    return folder


def by_brute_force(
    features: RetrievalFeatures,
) -> dict[tuple[str, str], tuple[float, list[tuple[str, str, float, bool]]]]:
    """For each (person, camera) its query's AP and ranking as (person, camera, distance, right), from the features and
    the rule as docs/evaluation.md words it."""
    query, gallery = (
        [values.numpy() for values in (side.features, side.pids, side.camids)]
        for side in (features.query, features.gallery)
    )
    found = {}
    for vector, pid, camid in zip(*query, strict=True):
        cosines = gallery[0] @ vector / np.linalg.norm(gallery[0], axis=1) / np.linalg.norm(vector)
        kept = [n for n in np.argsort(-cosines, kind="stable") if gallery[1][n] != -1]
        kept = [n for n in kept if not (gallery[1][n] == pid and gallery[2][n] == camid)]
        right = [bool(gallery[1][n] == pid) for n in kept]
        places = np.flatnonzero(right) + 1
        names = ["distractor" if gallery[1][n] == 0 else str(gallery[1][n]) for n in kept]
        ranking = [
            (name, str(gallery[2][n]), 1 - float(cosines[n]), hit)
            for name, n, hit in zip(names, kept, right, strict=True)
        ]
        found[str(pid), str(camid)] = (float(np.mean(np.arange(1, len(places) + 1) / places)), ranking)
    return found


def test_worst_first_in_the_order_of_a_plain_loop(call, run, make_job, tmp_path):
    done = call("visualize", run, "--out", tmp_path / "out", "--worst", "--queries", 5, "--top", 6, "--kinds", "ranked")
    assert done.code == 0, done.err
    assert "private" not in done.out and f"pictures: {tmp_path / 'out' / 'index.html'}" in done.out
    experiment, cpu = make_job(tmp_path / "job").experiment, torch.device("cpu")
    subject = network_subject(*load_network(run / "last.safetensors", cpu), cpu)
    expected = by_brute_force(features_on_test(subject, open_source(experiment.data, None), Protocol()))
    shown = read_json(tmp_path / "out" / "pictures.json")
    mean = np.mean([ap for ap, _ in expected.values()])
    first = np.mean([ranking[0][3] for _, ranking in expected.values()])
    assert (shown["score"]["mAP"], shown["score"]["rank1"]) == pytest.approx((mean, first))
    assert f"{100 * mean:.1f} %, {100 * first:.1f} %" in (tmp_path / "out" / "index.html").read_text()
    assert shown["pictures"] == ["ranked-1.png", "ranked-2.png"] and len(shown["lists"]) == 5
    assert [each["ap"] for each in shown["lists"]] == pytest.approx(sorted(ap for ap, _ in expected.values())[:5])
    for each in shown["lists"]:
        ap, ranking = expected[each["person"], each["camera"]]
        assert each["ap"] == pytest.approx(ap)
        assert each["file"].startswith(f"{int(each['person']):04d}_c{each['camera']}")
        places = [place for place, (*_, hit) in enumerate(ranking, start=1) if hit]
        assert each["first_right_rank"] == places[0]
        told = [(n["person"], n["camera"], n["right"]) for n in each["gallery"]]
        assert told == [(person, camera, hit) for person, camera, _, hit in ranking[:6]]
        assert [n["distance"] for n in each["gallery"]] == pytest.approx([d for *_, d, _ in ranking[:6]], abs=1e-5)


def test_all_kinds_on_one_page_and_the_same_bytes_again(call, run, tmp_path):
    pytest.importorskip("sklearn")
    outs = [tmp_path / name for name in ("one", "two")]
    for out in outs:
        done = call("visualize", run, "--out", out, "--queries", 3, "--seed", 4, "--activations-in-lists", "--top", 3)
        assert done.code == 0, done.err
    names = ["activations-1.png", "ranked-1.png", "tsne.png"]
    assert sorted(path.name for path in outs[0].iterdir()) == [*names[:1], "index.html", "pictures.json", *names[1:]]
    for name in names:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    page = (outs[0] / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and not re.search(r'(src|href)="(?!data:)', page)
    assert "first-set: 9 identities" in page and "drawn with seed 4" in page and "private" not in page


def test_what_is_replaced_is_pictures_and_nothing_else(call, run, tmp_path, refused):
    def draw(*more):
        return call("visualize", run, "--out", tmp_path, "--kinds", *more)

    assert draw("ranked", "--queries", 5, "--top", 1).code == 0
    (tmp_path / "ranked-notes.png").write_text("mine")
    refused(draw("ranked"), "already holds ranked-1.png; write it again with --replace, or give another folder")
    before = [each["file"] for each in read_json(tmp_path / "pictures.json")["lists"]]
    assert draw("ranked", "--queries", 2, "--top", 1, "--seed", 1, "--replace").code == 0
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["index.html", "pictures.json", "ranked-1.png", "ranked-notes.png"]
    assert [each["file"] for each in read_json(tmp_path / "pictures.json")["lists"]] != before[:2]


@pytest.mark.parametrize("name", ["index.html", "tsne.png", "ranked-7.png", "pictures.json"])
def test_files_that_no_earlier_call_tells_of_are_not_written_over(call, run, tmp_path, refused, name):
    """A page of the user's own, or what a call has left that was interrupted before it wrote what it drew."""
    (tmp_path / name).write_text("mine")
    options = ("--out", tmp_path, "--kinds", "activations", "--queries", 1)
    refused(call("visualize", run, *options), f"already holds {name}; write it again with --replace, or give")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"
    done = call("visualize", run, *options, "--resume")
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["activations-1.png", "index.html", "pictures.json"]


def test_data_that_no_tsne_can_be_made_of(call, run, shop, tmp_path, refused):
    """Persons with two images each: what was not asked for by its name is left out, and said to be."""
    pytest.importorskip("sklearn")
    few = tmp_path / "few"
    for part in ("query", "gallery"):
        for name in ("ann", "bob"):
            (few / part / name).mkdir(parents=True)
            (few / part / name / "0.png").write_bytes((shop / part / name / f"{part}0.png").read_bytes())
    config = ("--set", f"data.dataset={{name: folder, root: {few}}}")
    done = call("visualize", run, "--out", tmp_path / "out", *config)
    assert done.code == 0, done.err
    words = "left out: t-SNE: no person has at least three images"
    assert words in done.out and words in (tmp_path / "out" / "index.html").read_text()
    assert read_json(tmp_path / "out" / "pictures.json")["pictures"] == ["ranked-1.png", "activations-1.png"]
    for more in (("--kinds", "ranked", "tsne"), ("--perplexity", "2")):
        refused(call("visualize", run, "--out", tmp_path / "no", *config, *more), "no person has at least three images")
        assert not (tmp_path / "no").exists()


def test_real_persons_without_cameras_of_another_data_set(call, run, shop, tmp_path, refused, monkeypatch):
    config = ("--set", f"data.dataset={{name: folder, root: {shop}}}", "--kinds", "ranked", "activations")
    done = call("visualize", run, "--out", tmp_path / "out", *config, "--pids", "cleo", "ann")
    assert done.code == 0, done.err
    assert f"private: pictures of real persons ({shop.name}) were written to {tmp_path / 'out'}; keep" in done.out
    lists = read_json(tmp_path / "out" / "pictures.json")["lists"]
    assert [each["person"] for each in lists] == ["ann", "cleo"] and not any(each["passed_over"] for each in lists)
    for each in lists:
        assert each["camera"] is None and len(each["gallery"]) == 10
        assert [near["right"] for near in each["gallery"]] == [
            near["person"] == each["person"] for near in each["gallery"]
        ]
    assert "keep it private" in (tmp_path / "out" / "index.html").read_text()

    refused(
        call("visualize", run, "--out", tmp_path / "no", *config, "--pids", "clea"),
        f"--pids clea: no query image of {shop.name} shows this person; nearest: cleo",
    )
    monkeypatch.setattr(album, "ROOT", tmp_path)
    refused(
        call("visualize", run, "--out", tmp_path / "docs" / "pictures", *config),
        "pictures of real persons .* must not become files of the repository; give a folder under runs/",
    )
    assert not (tmp_path / "docs").exists() and not (tmp_path / "no").exists()
    done = call("visualize", run, "--out", tmp_path / "runs" / "x", *config, "--queries", 1)
    assert done.code == 0, done.err
    assert "1 query, drawn with seed 0; the nearest" in (tmp_path / "runs" / "x" / "index.html").read_text()


def test_an_arch_of_a_supernet(call, tmp_path, refused):
    torch.manual_seed(1)
    weights = save_supernet(tmp_path / "super" / "supernet.safetensors", Supernet(SPACE))
    out = ("--out", tmp_path / "out", "--kinds", "activations", "--queries", 1)
    refused(call("visualize", weights, *out), "name an arch of it with --arch NAME")
    refused(call("visualize", tmp_path / "super", *out), "has no last.safetensors; give .* and --arch NAME")
    done = call("visualize", weights, "--arch", "smallest", *out)
    assert done.code == 0, done.err
    assert (tmp_path / "out" / "activations-1.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--queries", 0), "--queries 0: must be at least 1"),
        (("--top", 51), "--top 51: must be from 1 to 50"),
        (("--persons", 21), "--persons 21: must be from 1 to 20"),
        (("--split", "all"), "--split all: pictures are drawn of one split; give its number"),
        (("--kinds", "tsne", "--activations-in-lists"), "no lists are drawn; add ranked to --kinds"),
        (("--kinds", "tsne", "--worst"), "--worst: no queries are drawn; add ranked or activations to --kinds"),
        (("--kinds", "tsne", "--queries", 2), "--queries: no queries are drawn"),
        (("--kinds", "activations", "--top", 5), "--top: no lists are drawn; add ranked to --kinds"),
        (("--kinds", "ranked", "activations", "--perplexity", 5), "--perplexity: no embeddings are drawn; add tsne"),
        (("--kinds", "ranked", "--persons", 5), "--persons: no embeddings are drawn; add tsne to --kinds"),
        (("--pids", "99999"), "--pids 99999: no query image of synthetic shows this person"),
        (("--dataset", "market1510"), "no data set is called 'market1510'; nearest: market1501"),
    ],
)
def test_bad_options(call, run, tmp_path, options, message, refused):
    refused(call("visualize", run, "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


def test_a_perplexity_that_does_not_fit(call, run, tmp_path, refused):
    pytest.importorskip("sklearn")
    for kinds in (("--kinds", "tsne"), ()):
        done = call("visualize", run, "--out", tmp_path / "out", *kinds, "--perplexity", 5000)
        refused(done, "--perplexity 5000: must be between 0 and the number of images")
        assert not (tmp_path / "out").exists()  # nothing was drawn before


def test_the_footer_says_what_is_passed_over():
    vectors, ones = torch.eye(2), torch.ones(2, dtype=torch.int64)
    for camids, ids, words in (
        (ones, None, "Passed over: images of the query's identity at its own camera."),
        (0 * ones, None, "Cameras are not known: no image of the same person is passed over."),
        (0 * ones, np.array(["a", "b"]), "Passed over: the query's own image."),
        (ones, np.array(["a", "b"]), "Passed over: images .* at its own camera and the query's own image."),
    ):
        side = LabeledFeatures(vectors, ones, camids, ids)
        assert re.fullmatch(words, left_out(RetrievalFeatures(side, side, RECORDS)))


def test_subjects_that_are_none(call, tmp_path, refused):
    (tmp_path / "f.npz").write_text("")
    refused(call("visualize", tmp_path / "f.npz", "--out", tmp_path / "out"), "f.npz is not a readable file of arrays")
    refused(call("visualize", tmp_path / "n.safetensors", "--out", tmp_path / "out"), "n.safetensors")


def test_what_cannot_be_drawn_is_left_out_or_refused(monkeypatch):
    """A network without a feature map, as an .onnx file's, and no scikit-learn."""
    blind = Subject(nn.Identity(), (64, 32), torch.device("cpu"), "none")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    kinds, notes = possible_kinds(Request(), blind)
    assert kinds == ("ranked",)
    assert notes[0].startswith("left out: activation maps need a checkpoint") and "pip install scikit-learn" in notes[1]
    with pytest.raises(UserError, match="t-SNE needs scikit-learn: pip install scikit-learn"):
        possible_kinds(Request(kinds=("tsne",)), blind)
    for request in (Request(kinds=("activations",)), Request(kinds=("ranked",), maps_in_lists=True)):
        with pytest.raises(
            UserError, match="need a checkpoint: an .onnx file gives only its vector, not its feature map"
        ):
            possible_kinds(request, blind)


def test_help_explains_every_option(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call("visualize", "--help", tiny=False)
    # A long option's words stand in the next line.
    options = set(re.findall(r"^  (--[a-z-]+)(?: [^ ]+)*\s+\S+ \S+.*$", done.out, re.MULTILINE))
    wanted = {"--queries", "--pids", "--worst", "--top", "--persons", "--perplexity", "--activations-in-lists"}
    assert wanted | {"--kinds", "--dataset", "--split", "--arch", "--metric", "--flip"} <= options
