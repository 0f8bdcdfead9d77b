"""Whom a search scores on: remembered where it goes on, and never persons that its supernet was trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import yaml
from torch import nn

import search.run
from reid.config import build_config, config_to_dict
from reid.data.datasets.registry import DatasetConfig
from reid.data.records import Dataset, ImageRecord
from reid.engine.recipe import Recipe
from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from reid.files import read_json, write_json
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.runs.provenance import sha256
from tools.jobs.search.held_out import check_strangers, check_teachers, doubts_of_trainings, persons_of

DATA = DataConfig(holdout_identities=6)


def _source(name="Market-1501", identities=20):
    records = tuple(ImageRecord(f"{pid}.jpg", pid, 1) for pid in range(1, identities + 1))
    return Source(Dataset(name, records, (), ()), None)


def _supernet(run, dataset, data):
    (run / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset, "data": data}))
    return run


def _trained_on(config, identities):
    """By plain sets: the first identities train, the next ones are held out."""
    first = config.train_identities if config.train_identities is not None else identities - config.holdout_identities
    return set(range(first)), set(range(first, first + config.holdout_identities))


@pytest.mark.parametrize("now", [(None, 6), (None, 16), (None, 2), (8, 6), (14, 6), (14, 2), (13, 3), (4, 5)])
@pytest.mark.parametrize("then", [(None, 6), (8, 12), (14, 3)])
def test_persons_that_the_supernet_was_trained_on_are_refused(tmp_path, then, now):
    then, now = (DataConfig(train_identities=train, holdout_identities=held) for train, held in (then, now))
    run = _supernet(tmp_path, "Market-1501", config_to_dict(then))
    both = len(_trained_on(then, 20)[0] & _trained_on(now, 20)[1])
    if not both:
        assert check_strangers(run, _source(), now) is None
        return
    told = f"was trained on {both} of the {now.holdout_identities} held-out identities; give data.train_identities"
    with pytest.raises(UserError, match=told):
        check_strangers(run, _source(), now)


@pytest.mark.parametrize(
    ("dataset", "data", "doubt"),
    [
        ("MSMT17", {"train_identities": 20}, None),
        ("Market-1501", {"train_identities": 14, "also_train": [{"name": "msmt17"}]}, None),
        ("Market-1501", {"train_identities": 14, "name": "market1501", "synthetic": {"train_identities": 9}}, None),
        ("Market-1501", {"dataset": {"name": "market1501", "root": "elsewhere"}}, "another split or variant"),
        ("Market-1501", None, "its config.yaml does not say"),
    ],
)
def test_what_is_known_of_a_supernet(tmp_path, dataset, data, doubt):
    said = check_strangers(_supernet(tmp_path, dataset, data), _source(), DATA)
    assert said is None if doubt is None else doubt in said


def test_of_other_splits_and_other_synthetic_sets_nothing_is_known(tmp_path):
    run = _supernet(tmp_path, "cuhk03-classic-labeled-split03", {"train_identities": 2})
    assert "another split or variant" in check_strangers(run, _source("cuhk03-np-detected"), DATA)
    run = _supernet(tmp_path, "synthetic", {"synthetic": {"train_identities": 99}})
    assert "another split or variant" in check_strangers(run, _source("synthetic"), DATA)
    (run / "config.yaml").unlink()
    assert check_strangers(run, _source(), DATA).endswith("it has no config.yaml")


def test_what_decides_whom_a_search_scores_on():
    kept = persons_of(_source(), replace(DATA, retrain_on_holdout=False, also_train=(DatasetConfig("msmt17"),)))
    assert kept == {"dataset": None, "train_identities": None, "holdout_identities": 6}
    moved = [replace(DATA, dataset=DatasetConfig("folder", root=root, seed=3)) for root in ("here", "there")]
    first, second = (persons_of(_source("folder"), each) for each in moved)
    assert first == second and first["dataset"]["seed"] == 3
    assert persons_of(_source("synthetic"), DATA)["synthetic"]["train_identities"] == 96


SOURCE_DATA = {"dataset": "Market-1501", "data": config_to_dict(replace(DATA, retrain_on_holdout=False))}


def _teacher(run, **config):
    """A run whose weights say that they are a network's."""
    save_weights(run / "last.safetensors", nn.Linear(1, 1), {"kind": "network"})
    (run / "config.yaml").write_text(yaml.safe_dump(SOURCE_DATA | config))
    return run


def _taught(run, teacher, digests):
    taught = {"recipe": {"losses": {"distillation": {"teacher": teacher}}}}
    config = SOURCE_DATA | {"supernet": taught, "teacher_sha256": ", ".join(digests)}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    return run


def _digest(run):
    return sha256(run / "last.safetensors")


def test_teachers_that_may_know_whom_a_search_scores_on_are_said(tmp_path):
    sound, all_of_them = _teacher(tmp_path / "a"), _teacher(tmp_path / "b", data=config_to_dict(DATA))
    begun = _teacher(tmp_path / "c", weights="runs/other")
    for teachers, said in (
        ([sound], None),
        ([sound, all_of_them], f"was taught by {all_of_them}, which may have seen the held-out ident"),
        ([begun, all_of_them], f"was taught by {begun} and {all_of_them}, which may have seen"),
    ):
        names = [str(each) for each in teachers]
        run = _taught(tmp_path, names[0] if len(names) == 1 else names, map(_digest, teachers))
        found = check_teachers(run, _source(), DATA)
        assert found is None if said is None else f"the supernet in {run} {said}" in found
    assert check_teachers(_supernet(tmp_path, **SOURCE_DATA), _source(), DATA) is None, "nobody taught it"
    (tmp_path / "config.yaml").unlink()
    assert check_teachers(tmp_path, _source(), DATA) is None


def test_of_finalists_it_is_said_who_teaches_them(tmp_path):
    """A recipe's teacher is mostly trained on all training persons, as the network is that is trained for use."""
    sound, all_of_them = _teacher(tmp_path / "a"), _teacher(tmp_path / "b", data=config_to_dict(DATA))
    gone = tmp_path / "gone"
    for teachers, said in (
        ((), None),
        ((sound,), None),
        ((sound, all_of_them), f"finalists are taught by {all_of_them}, which may have seen the held-ou"),
        ((gone, all_of_them), f"finalists are taught by {gone} and {all_of_them}, which may have seen"),
    ):
        distillation = {"teacher": tuple(map(str, teachers)), "similarity": 1.0} if teachers else {}
        recipe = build_config(Recipe, {"losses": {"distillation": distillation}}, "recipe")
        found = doubts_of_trainings(recipe, "finalists", _source(), DATA)
        assert found is None if said is None else found.startswith(said)


def test_of_a_teacher_that_is_another_now_or_gone_nothing_is_known(tmp_path):
    teacher = _teacher(tmp_path / "teacher")
    for digests in ([], ["0" * 64]):
        assert f"taught by {teacher}, " in check_teachers(_taught(tmp_path, str(teacher), digests), _source(), DATA)
    run = _taught(tmp_path, str(teacher), [_digest(teacher)])
    assert check_teachers(run, _source(), DATA) is None
    for gone in (teacher / "last.safetensors", teacher):
        run = _taught(tmp_path, str(gone), [_digest(teacher)])
        (teacher / "last.safetensors").rename(teacher / "moved.safetensors")
        assert f"taught by {gone}, " in check_teachers(run, _source(), DATA)
        (teacher / "moved.safetensors").rename(teacher / "last.safetensors")


def test_a_configuration_that_holds_no_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="config.yaml contains unexpected values .*; restore it, or train anoth"):
        check_teachers(_taught(tmp_path, 5, []), _source(), DATA)


def test_a_search_tells_of_its_supernets_teacher_and_so_does_its_page(call, supernet_run, tmp_path, read_page):
    run, out = tmp_path / "supernet", tmp_path / "search"
    shutil.copytree(supernet_run, run)
    _taught(run, "OSNet-x0.42-market1501", [])
    done = call("search", "--supernet", run, "--out", out, "--trials", 4)
    told = f"the supernet in {run} was taught by OSNet-x0.42-market1501, which may have seen the held-out"
    assert done.code == 0 and f"note      {told}" in done.out
    assert any(told in cell for cell in read_page(out / "report.html").all("td"))


def test_a_search_tells_of_its_finalists_teacher(call, supernet_run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(search.run, "run_search", interrupted)
    taught = f"retrain.losses.distillation={{teacher: {supernet_run}, similarity: 1.0}}"
    for finalists, told in ((0, False), (2, True)):
        done = call("search", "--supernet", supernet_run, "--out", tmp_path, "--finalists", finalists, "--set", taught)
        assert done.code == 130
        assert (f"note      finalists are taught by {supernet_run}, which may have seen" in done.out) is told


def test_a_search_goes_on_with_the_persons_that_it_was_begun_with(call, refused, supernet_run, tmp_path):
    run, out = tmp_path / "supernet", tmp_path / "search"
    shutil.copytree(supernet_run, run)
    begun = ("search", "--supernet", run, "--out", out, "--trials", 4)
    done = call(*begun)
    assert done.code == 0 and "may have seen the held-out identities: it has no config.yaml" in done.out
    kept = read_json(out / "search.json")["settings"]["data"]
    assert kept["holdout_identities"] == 6 and "retrain_on_holdout" not in kept
    other = ("--resume", "--trials", 5, "--set", "data.holdout_identities=5")
    refused(call(*begun[:-2], *other), r"started with another data.holdout_identities \(6, now 5\); give the same")

    summary = read_json(out / "search.json")
    del summary["settings"]["data"]
    write_json(out / "search.json", summary)  # as it was before its data were kept
    assert call(*begun[:-2], "--trials", 5, "--resume").code == 0
    assert read_json(out / "search.json")["settings"]["data"] == kept

    _supernet(run, "synthetic", {"holdout_identities": 6, "synthetic": kept["synthetic"]})
    trained = ("--out", tmp_path / "other", "--set", "data.holdout_identities=8")
    refused(call("search", "--supernet", run, *trained), "was trained on 2 of the 8 held-out identities; give data")
    assert not (tmp_path / "other").exists()
    done = call("search", "--supernet", run, "--out", tmp_path / "other", "--trials", 4)
    assert done.code == 0 and "may have seen" not in done.out
