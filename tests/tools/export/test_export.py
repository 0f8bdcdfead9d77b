"""The export tool on a network that was trained here for an epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import math
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import evaluation.export.parity
import tools.jobs.export.job
import tools.jobs.export.source
import tools.jobs.export.speed
from evaluation.comparison.row import read_result
from evaluation.export import Parity, open_session
from reid.data.prepare import prepare, resize
from reid.engine.runs.checkpoint import save_weights
from reid.files import read_json, write_json
from supernet.catalog import spec_to_dict
from supernet.files import NamedArch, arch_from_rows, load_space, save_arch
from supernet.supernet import Supernet
from supernet.trained import load_backbone
from supernet.trained.checkpoint import load_network, save_supernet
from tools.jobs.data import open_source
from tools.jobs.evaluate.checkpoints import run_name
from tools.jobs.export.job import Request, export
from tools.jobs.export.source import find_trained, trained_on, training_pixels
from tools.jobs.runs.trained_images import note_trained_images
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining
from tools.jobs.zoo.job import add

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FILES = ["Small-int8.onnx", "Small.json", "Small.onnx"]
ARCH = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(tools.jobs.export.speed, "ROUNDS", 2)
    monkeypatch.setattr(tools.jobs.export.speed, "BATCH_ROUNDS", 1)
    monkeypatch.setattr(tools.jobs.export.speed, "SECONDS", 0)


@pytest.fixture(scope="module")
def run(make_job, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    file = save_arch(root / "Small.yaml", NamedArch("Small", ARCH, {"source": "drawn by hand"}))
    return retrain(make_job(root / "run"), Retraining(str(file), root / "none"))


@pytest.fixture(scope="module")
def whole(run, make_job, tmp_path_factory) -> Path:
    """All that the tool does at once, pixels in; the folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ROUNDS", 2), ("BATCH_ROUNDS", 1), ("SECONDS", 0)):
            patch.setattr(tools.jobs.export.speed, name, value)
        out = tmp_path_factory.mktemp("whole") / "out"
        request = Request(preprocess=True, int8=True, score=True, beside=("mobilenetv2",))
        assert export(make_job(out), str(run), request) == out / "Small.json"
    return out


def test_rows_say_what_is_so(run, whole, read_page):
    told, result = read_json(whole / "Small.json"), read_result(run)
    assert sorted(path.name for path in whole.iterdir()) == sorted([*FILES, "Small.html"])
    full, small, rival, small_rival = told["rows"]
    names = ["Small.onnx", "Small-int8.onnx", "mobilenetv2 (untrained)", "mobilenetv2-int8 (untrained)"]
    assert [row["file"] for row in told["rows"]] == names
    digest = hashlib.sha256((run / "last.safetensors").read_bytes()).hexdigest()
    for row, file in ((full, "Small.onnx"), (small, "Small-int8.onnx")):
        assert row["bytes"] == (whole / file).stat().st_size and row["weights_sha256"] == digest
        assert (row["flops"], row["parameters"], row["input_size"]) == (result.flops, result.parameters, [64, 32])
        metadata = open_session(whole / file).get_modelmeta().custom_metadata_map
        assert (metadata["name"], metadata["precision"]) == ("Small", row["precision"])
    assert full["parity"]["random"]["difference"] < 1e-4 and full["parity"]["training"]["least_cosine"] > 0.99999
    assert small["parity"].keys() == {"training"} and small["parity"]["training"]["mean_cosine"] > 0.9
    for row in told["rows"]:
        assert 0 < row["least_ms"] <= row["median_ms"] and row["images_per_second"] > 0 and row["pixels"]
    # The network's own score, to what features that differ by rounding may do to it.
    assert (full["mAP"], full["rank1"]) == pytest.approx((result.mAP, result.rank1), abs=2e-3)
    assert small["mAP"] == pytest.approx(result.mAP, abs=0.1)
    assert rival["mAP"] is None and rival["flops"] > full["flops"] and rival["weights_sha256"] == ""
    assert rival["parity"]["random"]["largest"] > 0.1  # with its activations gone, int8 would be another computation
    assert (small_rival["precision"], small_rival["parity"], small_rival["mAP"]) == ("int8", {}, None)
    assert small_rival["bytes"] < 0.4 * rival["bytes"] and small_rival["flops"] == rival["flops"]
    assert told["target"] == "onnx-cpu-1t" and told["scored_on"] == "synthetic" and told["opset"] == 17
    cells = read_page(whole / "Small.html").all("td")
    for row in told["rows"]:
        assert f"{row['bytes'] / 1e6:.2f}" == cells[cells.index(row["file"]) + 1]
        assert f"{row['median_ms']:.2f}" in cells and f"{row['images_per_second']:.0f}" in cells
    assert f"{small['parity']['training']['mean_cosine']:.7f}" in cells and f"{100 * full['mAP']:.2f}" in cells
    assert told["machine"]["processor"] in cells


@pytest.mark.parametrize("name", ["Small.onnx", "Small-int8.onnx"])
def test_the_evaluating_tool_gives_the_same_score(call, whole, tmp_path, name):
    """Pixels are normalised in the file; the tool gets them back of the images that it has normalised."""
    done = call("evaluate", whole / name, "--calibrate", "none", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    (row,) = [row for row in read_json(whole / "Small.json")["rows"] if row["file"] == name]
    score = read_json(tmp_path / "out" / "score.json")
    assert (score["mAP"], score["rank1"]) == (row["mAP"], row["rank1"])
    assert score["about"]["exported_from_sha256"] == row["weights_sha256"]


def test_a_file_is_held_to_what_its_network_was_trained_on(call, refused, make_job, run, whole, tmp_path):
    """By the page beside it, as long as the weights are still there, and these."""
    trained, out = tmp_path / "run", tmp_path / "exported"
    shutil.copytree(run, trained)
    shutil.copytree(whole, out)
    told = read_json(out / "Small.json")
    write_json(out / "Small.json", {**told, "weights": str(trained / "last.safetensors")})
    source = open_source(make_job(tmp_path).experiment.data, None, (64, 32))
    note_trained_images(trained, source.decode((*source.dataset.query, *source.dataset.gallery)))
    line = "persons of synthetic that would be tested .* were trained on, as .*run/trained-images.npz says"
    for name in ("Small.onnx", "Small-int8.onnx"):
        refused(call("evaluate", out / name, "--out", tmp_path / "scores"), line)
    refused(call("cross_domain", out / "Small.onnx", "--datasets", "synthetic", "--out", tmp_path / "matrix"), line)
    refused(call("export", trained, "--score", "--out", tmp_path / "again"), line)
    assert not (tmp_path / "again").exists()
    for change in (lambda: (out / "Small.json").write_text("[]"), lambda: (out / "Small.json").unlink()):
        change()
        assert call("evaluate", out / "Small.onnx", "--out", tmp_path / "scores", "--replace").code == 0


def test_the_sample_of_the_docs(run, whole, monkeypatch):
    text = (Path(__file__).resolve().parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(whole)
    (whole / "MLR-210M-A.onnx").symlink_to(whole / "Small.onnx")
    crops = list(torch.randint(0, 256, (3, 64, 32, 3), dtype=torch.uint8).numpy())
    names = {"tracks": crops, "detections": crops[:2]}
    try:
        exec(code, names)
    finally:
        (whole / "MLR-210M-A.onnx").unlink()
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(find_trained(str(run)).network(prepare(_stacked(crops), (64, 32))))
    torch.testing.assert_close(torch.from_numpy(names["embed"](crops)), vectors, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(names["distances"]), 1 - vectors @ vectors[:2].T, rtol=0, atol=1e-5)
    assert names["embed"]([crop[:50, :20] for crop in crops]).shape == (3, 16)
    none = names["embed"]([])
    assert (none.shape, none.dtype) == ((0, 16), "float32") and (1 - none @ vectors.numpy().T).shape == (0, 3)
    names["session"] = SimpleNamespace(run=lambda outputs, feed: [np.zeros((len(feed["images"]), 16), np.float32)])
    assert not names["embed"](crops).any()  # no NaN, which a tracker's assignment cannot have


def _stacked(crops: list) -> torch.Tensor:
    return torch.stack([torch.from_numpy(crop) for crop in crops])


def test_the_tool_by_hand(call, refused, run, tmp_path):
    options = (run / "last.safetensors", "--out", tmp_path / "out")
    done = call("export", *options)
    assert done.code == 0, done.err
    assert "float32 (N, 3, 64, 32), already normalised" in done.out and "synthetic, its training images" in done.out
    assert "mAP" not in done.out  # nothing is known of it
    refused(call("export", *options), r"Small.onnx already exists; give another --out, or --replace")
    assert call("export", *options, "--replace", "--preprocess").code == 0
    assert open_session(tmp_path / "out" / "Small.onnx").get_inputs()[0].shape == ["batch", 64, 32, 3]


def test_networks_that_share_a_folder_have_a_page_each(call, run, tmp_path, read_page):
    out = tmp_path / "out"
    assert call("export", run, "--out", out).code == 0
    first = (out / "Small.html").read_bytes()
    other = shutil.copytree(run, tmp_path / "other")
    network, spec = load_network(other / "last.safetensors", torch.device("cpu"))
    save_weights(other / "last.safetensors", network, spec_to_dict(dataclasses.replace(spec, name="Other")))
    done = call("export", other, "--out", out)
    assert done.code == 0 and done.out.rstrip().endswith(f"report: {out / 'Other.html'}"), done.err
    assert (out / "Small.html").read_bytes() == first and "Other.onnx" in read_page(out / "Other.html").all("td")


def test_nothing_stays_that_was_made_of_an_earlier_file(call, run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("Small.onnx", "Small-int8.onnx", "Small.json"):
        (out / name).write_text("earlier")
    # A file that is refused leaves everything as it was.
    with monkeypatch.context() as patch:
        patch.setattr(evaluation.export.parity, "LARGEST_SHARE", -1)
        assert call("export", run, "--out", out, "--resume").code == 2
    assert [path.read_text() for path in sorted(out.iterdir())] == ["earlier"] * 3
    done = call("export", run, "--out", out, "--resume")
    assert done.code == 0, done.err
    assert sorted(path.name for path in out.iterdir()) == ["Small.html", "Small.json", "Small.onnx"]
    assert done.out.rstrip().endswith(f"report: {out / 'Small.html'}")
    assert "Small-int8.onnx, quantised from the file that was here before; --int8 writes it again" in done.out
    assert [row["file"] for row in read_json(out / "Small.json")["rows"]] == ["Small.onnx"]


def test_a_baseline_that_cannot_be_had_is_told_before_anything_is_written(call, refused, run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    done = call("export", run, "--out", tmp_path / "out", "--beside", "resnet18", "mobilenetv3_small_100")
    refused(done, "needs timm")
    assert not (tmp_path / "out").exists()


def test_a_file_is_told_of_though_its_cosine_is_no_number(run, make_job, tmp_path, monkeypatch, capsys):
    """An embedding of zeros has none; JSON knows no NaN."""
    zero = Parity(32, 1.0, 1.0, math.nan, math.nan)
    monkeypatch.setattr(tools.jobs.export.job, "measure_parity", lambda *_: zero)
    told = read_json(export(make_job(tmp_path / "out"), str(run), Request(int8=True)))
    assert told["rows"][1]["parity"]["training"] == {**asdict(zero), "least_cosine": None, "mean_cosine": None}
    far = "note: Small-int8.onnx is far from float32 (mean cosine below 0.95); "
    assert f"{far}score it with --score before" in capsys.readouterr().out
    export(make_job(tmp_path / "scored"), str(run), Request(int8=True, score=True))
    assert f"{far}compare the mAP of both before" in capsys.readouterr().out


def test_the_folder_that_one_is_in_has_a_name(run, monkeypatch):
    """In the run folder: ``export.py .`` and ``export.py last.safetensors``."""
    monkeypatch.chdir(run)
    for source in (".", "last.safetensors"):
        assert run_name(Path(source), None, None) == run.name
    assert run_name(Path("MLR-6.5M-A"), None, None) == "MLR-6.5M-A"


def test_a_network_of_the_zoo(run, make_job, tmp_path, capsys):
    """It has no run folder: random images alone, or the config's data set."""
    zoo = tmp_path / "zoo"
    add(run, "Small-6.5M", folder=zoo)
    export(make_job(tmp_path / "out"), "small-6.5m", Request(), zoo)
    assert "random ones only: these weights have no run folder" in capsys.readouterr().out
    pixels = torch.randint(0, 256, (3, 64, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = load_backbone("Small-6.5M", zoo)(prepare(pixels, (64, 32)))
    session = open_session(tmp_path / "out" / "Small-6.5M.onnx")
    (found,) = session.run(None, {"images": prepare(pixels, (64, 32)).contiguous().numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)
    export(make_job(tmp_path / "int8"), "Small-6.5M", Request(int8=True), zoo)
    assert read_json(tmp_path / "int8" / "Small-6.5M.json")["calibrated_on"].startswith("synthetic: ")


def test_images_are_training_images(run, make_job):
    """Of the run's own data set, whatever the config asks for; none of query and gallery, and none on both sides."""
    trained = find_trained(str(run))
    other = make_job(run, "data.synthetic.seed=7").experiment.data
    config = trained_on(trained, other)
    assert config == make_job(run).experiment.data != other
    source = tools.jobs.export.job.open_source(config, None, (64, 32))
    calibration, probe = training_pixels(source, (64, 32))
    dataset = source.dataset
    train = _pictures(source.decode(dataset.train).images)
    test = _pictures(source.decode(dataset.query).images) | _pictures(source.decode(dataset.gallery).images)
    taken = [_pictures(calibration), _pictures(probe)]
    assert taken[0] | taken[1] <= train and not (taken[0] | taken[1]) & test and not taken[0] & taken[1]
    count = min(256 + 32, len(dataset.train))
    assert (len(calibration), len(probe)) == (count - math.ceil(count / 9), math.ceil(count / 9))


def _pictures(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in resize(images, (64, 32))}


def test_another_data_set_is_no_substitute(run, make_job, call, refused, tmp_path):
    """A run on Market-1501, which is not here: nothing is calibrated on the synthetic set in its place."""
    copy = shutil.copytree(run, tmp_path / "run")
    text = (copy / "config.yaml").read_text()
    assert "dataset: synthetic" in text and "  name: synthetic" in text
    text = text.replace("dataset: synthetic", "dataset: market1501").replace("  name: synthetic", "  name: auto")
    (copy / "config.yaml").write_text(text)
    refused(call("export", copy, "--int8", "--out", tmp_path / "out"), "Market-1501 was not found")
    assert not (tmp_path / "out").exists()
    done = call("export", copy, "--out", tmp_path / "out")
    assert done.code == 0 and "random ones only: Market-1501 was not found" in done.out


def test_what_cannot_be_exported(call, refused, run, whole, tmp_path):
    out = ("--out", tmp_path / "out")
    refused(call("export", "runs/none", *out), "runs/none does not exist; name a run folder, .* of the zoo")
    refused(
        call("export", "none", *out), "'none' is neither a run folder nor a file, and in the zoo no weights are called"
    )
    refused(call("export", tmp_path / "none.safetensors", *out), "none.safetensors does not exist")
    refused(call("export", whole / "Small.onnx", *out), "is already exported; name the run folder")
    refused(call("export", run, *out, "--beside", "resnet81"), "no network is called 'resnet81'; nearest: ")
    refused(
        call("export", run, *out, "--int8", "--data", tmp_path),
        f"--data {tmp_path}: .* was trained on the synthetic set; leave it out",
    )
    refused(call("export", run, "--out", run), "holds a training or a pipeline; give another folder")
    (tmp_path / "empty").mkdir()
    refused(call("export", tmp_path / "empty", *out), "has no last.safetensors; nothing was trained there")
    assert not (tmp_path / "out").exists()


def test_folders_without_a_network_of_their_own(call, refused, run, tmp_path):
    """A supernet's, for which no option of this tool will do, and one that holds runs, as a pipeline's."""
    out = ("--out", tmp_path / "out")
    weights = save_supernet(tmp_path / "super" / "supernet.safetensors", Supernet(load_space("tiny").at((64, 32))))
    for source in (weights, weights.parent):
        done = call("export", source, *out)
        refused(
            done, "supernet.safetensors is a supernet, not a network; .* retrained .*tools/evaluate.py .* --arch NAME"
        )
    for name in ("b", "a"):
        shutil.copytree(run, tmp_path / "pipeline" / name)
    refused(call("export", tmp_path / "pipeline", *out), "has no last.safetensors; give one of the runs in it: a, b$")


def test_what_is_not_installed(call, refused, run, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    done = call("export", run, "--out", tmp_path / "out")
    refused(done, "exporting needs onnxruntime: pip install onnx onnxruntime$")
    assert not (tmp_path / "out").exists()
