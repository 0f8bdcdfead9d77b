"""Which identities are known to be strangers to a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from torch import nn

from reid.data.records import Dataset
from reid.engine.runs.checkpoint import save_weights
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.strangers import never_saw, never_trained_on

CONFIG = DataConfig(train_identities=200, holdout_identities=50)
SAME = {"train_identities": 200, "holdout_identities": 50, "retrain_on_holdout": False, "also_train": []}


@pytest.mark.parametrize(
    ("evaluated", "trained", "data", "supernet", "strangers"),
    [
        ("market1501", "market1501", SAME, False, True),
        ("market1501", "market1501", {**SAME, "retrain_on_holdout": True}, False, False),
        ("market1501", "market1501", {**SAME, "retrain_on_holdout": True}, True, True),  # a search needs them unseen
        ("market1501", "market1501", {**SAME, "train_identities": 250}, True, False),
        ("market1501", "market1501", {**SAME, "holdout_identities": 40}, False, False),
        ("market1501", "market1501", {}, False, False),
        ("msmt17", "market1501", {**SAME, "retrain_on_holdout": True}, False, True),
        (
            "msmt17",
            "market1501",
            {**SAME, "also_train": [{"name": "msmt17"}], "retrain_on_holdout": True},
            False,
            False,
        ),
        ("cuhk03-np-detected", "cuhk03-classic-labeled-split03", {"train_identities": 1}, False, False),
        ("market1501", "market1501", None, False, False),
    ],
)
def test_strangers(tmp_path, evaluated, trained, data, supernet, strangers):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"dataset": trained, "data": data}))
    source = Source(Dataset(evaluated, (), (), ()), Path("cache"))
    assert never_trained_on(tmp_path, source, CONFIG, supernet) is strangers


def test_a_run_that_does_not_tell(tmp_path):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    assert not never_trained_on(tmp_path, source, CONFIG, supernet=True)
    (tmp_path / "config.yaml").write_text("[1]")
    assert not never_trained_on(tmp_path, source, CONFIG, supernet=True)


@pytest.mark.parametrize(
    "trained_too",
    [
        {"name": "market-layout", "root": "sets/north"},
        {"name": "folder", "root": "elsewhere/../north"},
        {"name": "csv", "root": "tables/north.csv"},
    ],
)
def test_own_data_are_known_by_their_folder_or_file(tmp_path, trained_too):
    """As the opened data set is; the reader's name would make strangers of persons who were trained on."""
    source = Source(Dataset("north", (), (), ()), Path("cache"))
    for root, strangers in ((trained_too["root"], False), ("sets/south", True)):
        data = {**SAME, "retrain_on_holdout": True, "also_train": [{**trained_too, "root": root}]}
        _write(tmp_path, dataset="market1501", data=data)
        assert never_trained_on(tmp_path, source, CONFIG, supernet=False) is strangers


@pytest.mark.parametrize("dataset", ["market1501", "msmt17"])
@pytest.mark.parametrize(
    ("weights", "strangers"),
    [(None, True), ("imagenet", True), ("runs/other", False), ("OSNet-x0.42-market1501", False)],
)
def test_what_a_training_began_with_has_seen_persons_too(tmp_path, dataset, weights, strangers):
    """Whose they were is not known, whatever the training itself was on."""
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    _write(tmp_path, dataset=dataset, data=SAME, weights=weights)
    assert never_trained_on(tmp_path, source, CONFIG, supernet=False) is strangers


def test_an_inherited_supernet_has_seen_what_its_own_configuration_says(tmp_path):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    run, supernet = tmp_path / "run", tmp_path / "supernet"
    _write(run, dataset="market1501", data=SAME, weights=f"supernet:{supernet}")
    assert never_trained_on(run, source, CONFIG, supernet=False)  # whose folder is gone
    _write(supernet, dataset="market1501", data=SAME)
    assert never_trained_on(run, source, CONFIG, supernet=False)
    _write(supernet, dataset="market1501", data={**SAME, "train_identities": 250})
    assert not never_trained_on(run, source, CONFIG, supernet=False)


@pytest.mark.parametrize("supernet", [False, True])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("teacher", "strangers"),
    [(SAME, True), ({**SAME, "retrain_on_holdout": True}, False), ({**SAME, "train_identities": 250}, False)],
)
def test_who_is_taught_learns_of_the_persons_whom_its_teacher_saw(tmp_path, teacher, strangers, several, supernet):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    first = _network(tmp_path / "first", data=SAME)
    teachers = [first, _network(tmp_path / "teacher", data=teacher)] if several else [tmp_path / "teacher"]
    if not several:
        _network(tmp_path / "teacher", data=teacher)
    student = _network(tmp_path / "student", data=SAME, taught_by=teachers, supernet=supernet)
    assert never_saw(student, source, CONFIG, supernet) is strangers
    assert never_trained_on(student, source, CONFIG, supernet), "it was not itself"
    last = _network(tmp_path / "last", data=SAME, taught_by=[student])  # its teacher's teacher tells too
    assert never_saw(last, source, CONFIG, supernet=False) is strangers
    if supernet:
        begun = _network(tmp_path / "begun", data=SAME, weights=f"supernet:{student}")
        assert never_saw(begun, source, CONFIG, supernet=False) is strangers


def test_nothing_is_known_of_a_teacher_that_is_gone_or_another_by_now(tmp_path):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    teacher = _network(tmp_path / "teacher", data=SAME)
    student = _network(tmp_path / "student", data=SAME, taught_by=[teacher])
    assert never_saw(student, source, CONFIG, supernet=False)
    _network(teacher, data=SAME)  # fresh weights
    assert not never_saw(student, source, CONFIG, supernet=False)
    student = _network(tmp_path / "student", data=SAME, taught_by=[teacher])
    (teacher / "last.safetensors").unlink()
    assert not never_saw(student, source, CONFIG, supernet=False)


def test_a_mean_has_had_the_teachers_of_all_its_trainings(tmp_path):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    stranger = _network(tmp_path / "stranger", data=SAME)
    knows = _network(tmp_path / "knows", data={**SAME, "retrain_on_holdout": True})
    none = {"teacher": None}
    one, two = (
        {"teacher": names, "teacher_sha256": ", ".join(sha256(each / "last.safetensors") for each in by)}
        for names, by in ((str(stranger), (stranger,)), ([str(stranger), str(knows)], (stranger, knows)))
    )
    for members, strangers in (([none, none], True), ([none, one], True), ([one, two], False), ([none, {}], False)):
        mean = _network(tmp_path / "mean", data=SAME, averaged=members)
        assert never_saw(mean, source, CONFIG, supernet=False) is strangers
        assert never_saw(_network(tmp_path / "last", data=SAME, taught_by=[mean]), source, CONFIG, False) is strangers


def _network(run: Path, taught_by=(), supernet=False, weights=None, **config) -> Path:
    """A run folder of a training on Market-1501, with weights, taught by the networks in other such folders."""
    names = [str(each) for each in taught_by]
    recipe = {"recipe": {"losses": {"distillation": {"teacher": (names[0] if len(names) == 1 else names) or None}}}}
    digests = ", ".join(sha256(each / "last.safetensors") for each in taught_by)
    taught = {"supernet": recipe} if supernet else recipe
    _write(run, dataset="market1501", weights=weights, teacher_sha256=digests, **taught, **config)
    save_weights(run / "last.safetensors", nn.Linear(2, 2), {"kind": "supernet" if supernet else "network"})
    return run


def _write(run: Path, **config: object) -> None:
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
