"""What ``tools/evaluate.py`` refuses, in a line and with nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest


def change(path: Path, source: Path, **arrays: np.ndarray) -> Path:
    with np.load(source) as file:
        np.savez(path, **{**{name: file[name] for name in file.files}, **arrays})
    return path


def test_bad_feature_files(call, saved, tmp_path, refused):
    source, out = saved / "features.npz", ("--out", tmp_path / "out")
    with np.load(source) as file:
        broken = file["gallery_features"].copy()
        strangers = file["gallery_pids"] + 5000
    broken[1, 2] = np.nan
    path = change(tmp_path / "nan.npz", source, gallery_features=broken)
    refused(call("evaluate", path, *out), "nan.npz: gallery_features contain NaN or infinite values")
    path = change(tmp_path / "shape.npz", source, gallery_features=broken[:, :3])
    refused(
        call("evaluate", path, *out),
        "shape.npz: gallery_features contain NaN|query features have .* gallery features 3",
    )
    path = change(tmp_path / "ids.npz", source, gallery_pids=strangers)
    refused(
        call("evaluate", path, *out), "no query has a right answer in the gallery: no query's identity occurs in it"
    )
    (tmp_path / "text.npz").write_text("no features")
    refused(call("evaluate", tmp_path / "text.npz", *out), "text.npz is not a readable feature file")
    refused(call("evaluate", tmp_path / "none.npz", *out), "none.npz does not exist")
    (tmp_path / "text.safetensors").write_text("no weights")
    refused(
        call("evaluate", tmp_path / "text.safetensors", *out), "text.safetensors is not a readable safetensors file"
    )
    refused(call("evaluate", source, "--flip", *out), "--flip: .* already contains features")
    refused(call("evaluate", source, "--dataset", "msmt17", *out), "--dataset: .* already contains features")
    refused(call("evaluate", source, "--arch", "smallest", *out), "--arch is only for supernets; leave it out")
    refused(call("evaluate", source, "--calibrate", "holdout", *out), "saved features come without a network")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dataset", "market1510"), "no data set is called 'market1510'; nearest: market1501"),
        (("--dataset", "msmt17"), "no MSMT17"),
        (("--dataset", "market-layout"), "needs root"),
        (("--split", "3"), "data set 'synthetic' has only one split; leave --split out"),
        (("--rerank", "20,6"), "--rerank 20,6: must be K1,K2,LAMBDA such as 20,6,0.3"),
        (("--rerank", "0,6,0.3"), "--rerank 0,6,0.3: k1: input should be greater than or equal to 1"),
        (("--rerank", "20,6,much"), "--rerank 20,6,much: weight: "),
        (("--fmr", "2"), "--fmr 2: must be between 0 and 1"),
        (("--calibrate", "sometimes"), "--calibrate sometimes: must be one of auto, holdout, test-half, none"),
        (("--save-features", "f.npy"), "f.npy: must end in .npz"),
        (("--save-features", "f.npz", "--split", "all"), "--save-features: with --split all there would be features"),
        (("--projector", "--split", "all"), "--projector: with --split all there would be features of several splits"),
    ],
)
def test_bad_options(call, runs, tmp_path, options, message, refused):
    refused(call("evaluate", runs["first"], "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--calibrate", "sometimes"), "--calibrate sometimes: must be one of"),
        (("--calibrate", "none.npz"), "none.npz does not exist"),
        (("--calibrate", "holdout", "--set", "data.holdout_identities=900"), "900 identities to hold out"),
        (("--calibrate", "test-half", "--split", "all"), "--calibrate test-half: --split all sets no threshold"),
    ],
)
def test_what_a_threshold_cannot_be_set_on_is_told_before_the_work(
    call, runs, tmp_path, refused, options, message, monkeypatch
):
    monkeypatch.setattr(
        "tools.jobs.evaluate.result.features_on_test", lambda *_: pytest.fail("the test set was run first")
    )
    refused(call("evaluate", runs["first"], "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


def test_saved_features_are_not_written_over(call, saved, runs, tmp_path, refused):
    before = (saved / "features.npz").read_bytes()
    out = ("--out", tmp_path / "out", "--save-features", saved / "features.npz")
    refused(call("evaluate", runs["second"], *out), "features.npz: already exists; name another file, or .*--replace")
    assert (saved / "features.npz").read_bytes() == before and not (tmp_path / "out").exists()


def test_a_result_is_not_written_over(call, saved, runs, sets, refused, arguments):
    before = {path: path.read_bytes() for path in saved.iterdir() if path.is_file()}
    refused(call("evaluate", *arguments(runs["second"], sets["north"], saved)[4:]), "already holds a result")
    assert {path: path.read_bytes() for path in saved.iterdir() if path.is_file()} == before


def test_weights_that_no_evaluation_wrote_stay(call, saved, runs, sets, tmp_path, refused, arguments):
    """A folder with weights alone, as tools/import_torchreid.py leaves it, then with its own evaluation."""
    imported = tmp_path / "imported"
    shutil.copytree(runs["second"], imported)
    (imported / "result.json").unlink()
    before = (imported / "last.safetensors").read_bytes()
    line = "imported contains last.safetensors of a network that was not evaluated there; give another --out"
    refused(call("evaluate", saved / "features.npz", "--out", imported), line)
    assert [path.name for path in imported.iterdir()] == ["last.safetensors"]
    done = call("evaluate", *arguments(imported, sets["north"], imported, "--calibrate", "none")[4:])
    assert done.code == 0 and (imported / "result.json").exists(), done.err
    refused(call("evaluate", saved / "features.npz", "--out", imported, "--replace"), line)
    assert (imported / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("about", "told"), [(None, True), ('{"rule": {"distractor_pids": [], "junk_pids": []}}', False)]
)
def test_queries_of_a_number_that_is_nobodys_are_told(call, tmp_path, about, told):
    """As in files of programs that number persons from 0."""
    pids = np.arange(12) % 3
    draw = np.random.default_rng(0)
    arrays = {"query_pids": pids, "gallery_pids": pids, "query_camids": pids * 0 + 1, "gallery_camids": pids * 0 + 2}
    arrays |= {f"{side}_features": draw.normal(size=(12, 4)) for side in ("query", "gallery")}
    np.savez(tmp_path / "f.npz", **arrays, **({} if about is None else {"about": about}))
    done = call("evaluate", tmp_path / "f.npz", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    words = "queries of identity 0 match nothing, as these numbers mean distractors or junk; if they are persons, give"
    assert (words in done.out) == told
