"""Training and testing on folders of one's own, alone and merged."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from evaluation.comparison.row import read_result
from reid.engine.batches import training_batches
from reid.engine.runs.run_folder import read_metrics
from reid.errors import UserError
from tools.jobs.data import open_source, retrain_data, search_data
from tools.jobs.data import test_data as official
from tools.jobs.evaluate.datasets import named
from tools.jobs.training.facts import training_facts

SIZE = (64, 32)
CAMERAS = r"c(?P<camid>\d)_"


def _make(folder: Path, identities: int, sizes, blue: int, each: int = 4) -> Path:
    """``identities`` folders of ``each`` images by two cameras, in a colour of each identity's own."""
    for number in range(identities):
        for image in range(each):
            height, width = sizes[image % len(sizes)]
            path = folder / f"person{number}" / f"c{image % 2 + 1}_{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = (30 * number % 250, 90 + 10 * image, blue)
            Image.new("RGB", (width, height), colour).save(path)
    return folder


@pytest.fixture(scope="module")
def shops(tmp_path_factory) -> Path:
    """Two folders: ``north`` with 8 persons, ``south`` with 6, all in colour."""
    folder = tmp_path_factory.mktemp("own")
    _make(folder / "north", 8, ((60, 30), (72, 40)), blue=40)
    _make(folder / "south", 6, ((50, 50),), blue=200)
    return folder


def _folder(root: Path, **options) -> str:
    """As it is written on the command line."""
    return json.dumps({"name": "folder", "root": str(root)} | options)


@pytest.fixture
def arch(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("name: small\ninput_size: [64, 32]\nstem: 8\nrows: [[1, 8, 1, 1], [2, 16, 1, 2]]\nlast_width: 24\n")
    return path


def _both(shops: Path, **options) -> tuple[str, str]:
    return (
        f"data.dataset={_folder(shops / 'north', pattern=CAMERAS, **options)}",
        f"data.also_train=[{_folder(shops / 'south', test_share=0)}]",
    )


WITHOUT = ("data.holdout_identities=2", "data.retrain_on_holdout=true", "retrain.identities=3")


@pytest.mark.parametrize("pattern", [CAMERAS, None], ids=["cameras", "no cameras"])
def test_a_folder_of_ones_own(call, shops, arch, tmp_path, pattern):
    """4 of 8 persons are drawn for the test; images of two sizes are stored at the network's."""
    options = {"pattern": pattern} if pattern else {}
    settings = [f"data.dataset={_folder(shops / 'north', **options)}", *WITHOUT]
    settings = [part for setting in settings for part in ("--set", setting)]
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", *settings)
    assert done.code == 0, done.err
    row = read_result(tmp_path / "run")
    assert row.train_set == "north: 4 identities, 16 images"
    # With cameras the first image of each person and camera is a query, without them the first of each person.
    queries = 8 if pattern else 4
    assert row.test_set == f"north: {queries} queries, {16 - queries} gallery images"
    assert 0 < row.mAP <= 1 and "SYNTHETIC" not in done.out
    assert len(read_metrics(tmp_path / "run")) == 1


def test_merged_data(call, shops, arch, tmp_path):
    """Both are trained on, the first alone is tested; numbering them anew makes no person known to the test."""
    settings = [*_both(shops), *WITHOUT, "retrain.sampler=balanced", "retrain.identities=4"]
    settings = [part for setting in settings for part in ("--set", setting)]
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", *settings)
    assert done.code == 0, done.err
    row = read_result(tmp_path / "run")
    assert row.train_set == "north + south: 10 identities, 40 images"
    assert row.test_set == "north: 8 queries, 8 gallery images"
    assert load_file(tmp_path / "run" / "classifier.safetensors")["weight"].shape == (10, 24)
    troubles = [each["trouble"] for each in json.loads((tmp_path / "run" / "doctor.json").read_text())]
    assert "train/test identity overlap" not in troubles and "identity overlap" not in done.out


def test_balanced_batches_hold_both_sources_alike(make_job, shops, tmp_path):
    job = make_job(tmp_path, *_both(shops), *WITHOUT, "retrain.sampler=balanced", "retrain.identities=4")
    source = open_source(job.experiment.data, None, SIZE)
    images = retrain_data(source, job.experiment.data)
    assert images.images.shape == (40, *SIZE, 3) and sorted(images.pids.unique().tolist()) == list(range(1, 11))
    assert Counter(images.sources.tolist()) == {0: 16, 1: 24}
    source_of = dict(zip(images.labels()[0].tolist(), images.sources.tolist(), strict=True))
    batches = training_batches(images, job.experiment.retrain, SIZE, 0, torch.device("cpu"))
    for _, labels in batches.epoch(1):
        drawn = {label: source_of[label] for label in labels.tolist()}
        assert Counter(drawn.values()) == {0: 2, 1: 2}


def test_camera_aware_batches_take_each_person_from_both_cameras(make_job, shops, tmp_path):
    """Two images a person, four in all, two by each camera: plain PK batches also pair images of one camera."""
    crossing = {}
    for sampler in ("camera_aware", "pk"):
        settings = (f"retrain.sampler={sampler}", "retrain.identities=3", "retrain.instances=2")
        job = make_job(tmp_path, _both(shops)[0], *WITHOUT, *settings)
        images = retrain_data(open_source(job.experiment.data, None, SIZE), job.experiment.data)
        drawn = training_batches(images, job.experiment.retrain, SIZE, 0, torch.device("cpu")).sampler
        pairs = torch.cat([batch for epoch in range(4) for batch in drawn.epoch(epoch)]).view(-1, 2)
        assert (images.pids[pairs[:, 0]] == images.pids[pairs[:, 1]]).all()
        crossing[sampler] = (images.camids[pairs[:, 0]] != images.camids[pairs[:, 1]]).tolist()
    assert all(crossing["camera_aware"]) and not all(crossing["pk"])


def test_persons_on_both_sides_are_still_found_by_their_pictures(make_job, shops, tmp_path):
    """Merged data sets are compared by pixels; a single one by its own numbers too."""
    job = make_job(tmp_path, *_both(shops), *WITHOUT)
    source = open_source(job.experiment.data, None, SIZE)
    images, recipe = retrain_data(source, job.experiment.data), job.experiment.retrain
    facts = training_facts(recipe, images, 5, None, source)
    assert facts.classes == 10 and facts.shared_identities == facts.shared_images == 0
    tested = source.dataset.query[0].pid
    trained_too = tuple(record for record in source.dataset.gallery if record.pid == tested)
    wrong = replace(source, dataset=replace(source.dataset, train=source.dataset.train + trained_too))
    merged = training_facts(recipe, retrain_data(wrong, _with(job, 5)), 5, None, wrong)
    assert merged.shared_images == len(trained_too) > 0
    alone = replace(wrong, also_train=())
    by_number = training_facts(recipe, retrain_data(alone, _with(job, 5)), 5, None, alone)
    assert (by_number.shared_identities, by_number.shared_images) == (1, len(trained_too))


def _with(job, identities: int):
    """All of them are trained on."""
    return replace(job.experiment.data, train_identities=identities - 2, holdout_identities=2)


def test_held_out_persons_are_the_first_sets_own(make_job, shops, tmp_path):
    """Searched and monitored is on the first data set alone, which the others' training images leave as it is."""
    job = make_job(tmp_path, *_both(shops), "data.holdout_identities=2", "data.retrain_on_holdout=false")
    source = open_source(job.experiment.data, None, SIZE)
    images, held = retrain_data(source, job.experiment.data), search_data(source, job.experiment.data)
    assert Counter(images.sources.tolist()) == {0: 8, 1: 24}
    own = {record.path: record.pid for record in source.dataset.train}
    identities = sorted(set(own.values()))
    assert set(held.query.pids.tolist()) == set(identities[2:]) and len(held.train) == 8


def test_images_keep_the_size_that_is_known_of_them(make_job, tmp_path):
    """Synthetic pictures are of one size, another one than Market-1501's: what is trained on besides is not shrunk."""
    for number, (height, width) in enumerate(((20, 10), (60, 30), (64, 32), (40, 20))):
        for folder in ("bounding_box_train", "query", "bounding_box_test"):
            path = tmp_path / "mine" / folder / f"{number + 1:04d}_c1s1_000001_0{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (width, height)).save(path)
    mine = json.dumps({"name": "market1501", "root": str(tmp_path / "mine"), "check_counts": False})
    small = "{train_identities: 2, test_identities: 1, distractors: 0, junk: 0, cameras: 2, size: [32, 16]}"
    data = make_job(tmp_path, f"data.dataset={mine}", f"data.synthetic={small}").experiment.data
    four = replace(data, train_identities=2, holdout_identities=2, retrain_on_holdout=True)
    assert retrain_data(open_source(data, None, SIZE), four).images.shape[1:3] == SIZE
    alone = replace(data, dataset=None, name="synthetic", also_train=())
    source = open_source(alone, None, SIZE)
    assert source.dataset.image_size == (32, 16) and source.size is None
    assert open_source(replace(alone, also_train=(data.dataset,)), None, SIZE).size == SIZE


def test_training_images_alone(call, refused, shops, arch, tmp_path):
    """What has no query and gallery is trained on and not scored, which is said; what compares scores refuses it."""
    settings = [f"data.dataset={_folder(shops / 'north', test_share=0)}", *WITHOUT]
    settings = [part for setting in settings for part in ("--set", setting)]
    out = tmp_path / "run"
    done = call("retrain", "--arch", arch, "--out", out, "--repeats", 2, *settings)
    assert done.code == 0, done.err
    assert "north has no query and gallery, so there is no score" in done.out and "result.json" not in done.out
    assert f"weights: {out / 'seed-1' / 'last.safetensors'}\n" in done.out
    assert f"evaluate.py {out / 'seed-1'} --dataset NAME=FOLDER" in done.out
    for run in (out, out / "seed-0", out / "seed-1"):
        assert (run / "report.html").is_file() and not (run / "result.json").exists()
    done = call("evaluate", out / "seed-1", "--out", tmp_path / "own", "--device", "cpu", tiny=False)
    refused(done, "data set 'north' has no query and gallery, so there is nothing to evaluate on; name another")
    done = call("pipeline", "--out", tmp_path / "whole", *settings)
    refused(done, "data set 'north' has no query and gallery, but the network is to be scored on them")
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize(
    ("gallery", "why"),
    [(("person3", "c1"), "no query's identity occurs in it"), (("person2", "c1"), "from the queries' own cameras")],
    ids=["other persons", "one camera"],
)
def test_queries_without_a_right_answer_are_refused_before_training(call, refused, shops, arch, tmp_path, gallery, why):
    """They were at its end, when the network cannot be scored."""
    person, camera = gallery
    for part, each, seen in (("train", "person0", ""), ("train", "person1", ""), ("query", "person2", "c1_0")):
        _copy(shops / "north" / each, tmp_path / "set" / part / each, seen)
    _copy(shops / "north" / person, tmp_path / "set" / "gallery" / person, f"{camera}_2")
    own = f"data.dataset={_folder(tmp_path / 'set', pattern=CAMERAS)}"
    settings = [part for setting in (own, *WITHOUT, "retrain.identities=2") for part in ("--set", setting)]
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", *settings)
    refused(done, f"data set 'set': no query has a right answer in the gallery: .*{why}")
    assert not (tmp_path / "run").exists()


def _copy(person: Path, folder: Path, begin: str) -> None:
    folder.mkdir(parents=True)
    for image in person.glob(f"{begin}*"):
        (folder / image.name).write_bytes(image.read_bytes())


def test_the_facts_of_training_images_alone(make_job, shops, tmp_path):
    job = make_job(tmp_path, f"data.dataset={_folder(shops / 'north', test_share=0)}", *WITHOUT)
    source = open_source(job.experiment.data, None, SIZE)
    facts = training_facts(job.experiment.retrain, retrain_data(source, job.experiment.data), 5, None, source)
    assert facts.classes == 8 and facts.shared_identities == facts.shared_images == 0
    with pytest.raises(UserError, match="'north' has no query and gallery"):
        official(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("data.also_train=[{name: folder, root: NORTH}]",), "data set 'north' would be merged with itself"),
        (("data.dataset={name: foldr, root: NORTH}",), "there is no such data set; nearest: folder"),
        (("data.dataset={name: folder, root: none}",), "data folder none does not exist"),
        (("data.holdout_identities=9", "data.train_identities=2"), "9 identities to hold out .* 2 to train"),
        (("data.holdout_identities=9", "data.retrain_on_holdout=false"), "9 identities to hold out .* north has 4"),
        (("retrain.sampler=balanced", "retrain.identities=11"), "identities"),
        (
            ("data.dataset.pattern=null", "data.also_train=[]", "retrain.sampler=camera_aware"),
            "sampler 'camera_aware' needs the camera of each image; this data set gives none; use 'pk'",
        ),
    ],
)
def test_what_is_refused(call, shops, arch, tmp_path, change, message):
    """In one line, before anything is written."""
    settings = [*_both(shops), *WITHOUT, *(each.replace("NORTH", str(shops / "north")) for each in change)]
    settings = [part for setting in settings for part in ("--set", setting)]
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", *settings)
    lines = [line for line in done.err.replace("\r", "\n").splitlines() if line.strip()]
    assert done.code == 2 and sum(line.startswith("error: ") for line in lines) == 1, done.err
    assert re.search(message, lines[-1]), lines[-1]
    assert not (tmp_path / "run").exists()


def test_the_configs_own_data_set_named_again_keeps_its_options(make_job, shops, tmp_path):
    """Else training persons would be tested, or cameras lost: the split is drawn by its seed."""
    own = _folder(shops / "north", pattern=CAMERAS, seed=5)
    config = make_job(tmp_path, f"data.dataset={own}", *WITHOUT).experiment.data
    for text in ("folder", f"folder={shops / 'north'}", f"folder={shops / 'south' / '..' / 'north'}"):
        assert named(text, config).dataset == config.dataset
    other = named(f"folder={shops / 'south'}", config).dataset
    assert other.root == shops / "south" and other.pattern is None and other.seed != 5


def test_a_second_place_for_the_data_is_refused(call, refused, shops, arch, tmp_path):
    settings = ("--set", f"data.dataset={_folder(shops / 'north')}")
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", "--data", shops / "south", *settings)
    refused(done, "--data .*south: the config sets data.dataset.root .*north; leave one of the two out")


def test_the_synthetic_set_beside_ones_own_is_refused(call, refused, shops, arch, tmp_path):
    settings = ("--set", f"data.dataset={_folder(shops / 'north')}")
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", "--data", "synthetic", *settings)
    refused(done, "--data synthetic: the config sets data.dataset folder; leave one of the two out")


def test_data_sets_of_other_layouts_are_no_names(call, refused, arch, tmp_path):
    done = call("retrain", "--arch", arch, "--out", tmp_path / "run", "--set", "data.name=msmt17")
    refused(done, r"data.name: msmt17 must be set as data.dataset; give data.dataset=\{name: msmt17\}")
