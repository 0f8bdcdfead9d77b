"""What a network is evaluated on where the user names no data: those of its training."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import yaml

from reid.config import config_to_dict
from reid.engine.runs.run_folder import open_run
from reid.errors import UserError
from tools.jobs.runs.data import data_of, on_its_data, on_that_data_alone, trained_on
from tools.jobs.runs.saved_config import read_saved


def write_yaml(path: Path, data: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(data))


FOLDER = {"name": "folder", "root": "shops/north", "seed": 5}


@pytest.fixture
def run(tmp_path) -> Path:
    data = {"name": "auto", "dataset": FOLDER, "also_train": [FOLDER], "holdout_identities": 7}
    write_yaml(tmp_path / "run" / "config.yaml", {"dataset": "north", "data": data})
    (tmp_path / "run" / "last.safetensors").write_text("")
    return tmp_path / "run"


@pytest.fixture
def job(make_job, tmp_path):
    """As if nothing had been typed."""
    return dataclasses.replace(make_job(tmp_path / "out"), common=())


@pytest.mark.parametrize("source", [".", "last.safetensors"])
def test_the_data_of_its_training(job, run, source, capsys):
    data = on_its_data(job, run / source).experiment.data
    assert (data.dataset.name, data.dataset.root, data.dataset.seed) == ("folder", Path("shops/north"), 5)
    assert data.holdout_identities == 7 and data.also_train == ()
    assert "config.yaml; --config, --data or --set data... select others" in capsys.readouterr().out


def test_what_the_user_names_has_the_last_word(job, run, tmp_path):
    for common in (("--config", "configs/demo.yaml"), ("--set", "data.holdout_identities=9")):
        named = dataclasses.replace(job, common=common)
        assert on_its_data(named, run) is named
    given = dataclasses.replace(job, data=tmp_path)
    assert on_its_data(given, run) is given
    other = dataclasses.replace(job, common=("--set", "retrain.epochs=2"))
    assert on_its_data(other, run).experiment.data.dataset is not None


def test_other_sources_take_the_configs(job, run, tmp_path):
    for source in (run / "network.onnx", run / "features.npz", tmp_path / "weights.safetensors"):
        assert on_its_data(job, source) is job


@pytest.mark.parametrize(("trained", "name"), [("synthetic", "synthetic"), ("market1501", "market1501")])
def test_what_was_there_is_that_data_set_now(tmp_path, trained, name):
    write_yaml(tmp_path / "config.yaml", {"dataset": trained, "data": {"name": "auto"}})
    assert data_of(tmp_path).name == name


def test_a_run_that_was_begun_before_a_setting_came_up_goes_on(job, tmp_path):
    """What is not in its configuration has the default; another value than that is another configuration."""
    recipe = config_to_dict(job.experiment.retrain)
    now = {"seed": 0, "data": config_to_dict(job.experiment.data), "recipe": recipe}
    then = copy.deepcopy(now)
    del then["recipe"]["augment"]["grayscale"], then["data"]["also_train"]
    write_yaml(tmp_path / "run" / "config.yaml", then)
    assert open_run(tmp_path / "run", now, True, read_saved) == tmp_path / "run"
    with pytest.raises(UserError, match="another configuration"):
        open_run(tmp_path / "run", now, True)
    now["recipe"]["augment"]["grayscale"] = 0.5
    with pytest.raises(UserError, match="another configuration .recipe.augment.grayscale: 0.0 then, 0.5 now"):
        open_run(tmp_path / "run", now, True, read_saved)


def test_configurations_of_something_else_are_refused(job, run):
    write_yaml(run / "config.yaml", {"trials": 5})
    with pytest.raises(UserError, match="config.yaml does not say what the network was trained on"):
        on_its_data(job, run)


def test_what_the_training_has_seen(run, tmp_path):
    """The further data sets too, which a supernet is not trained on."""
    weights = run / "last.safetensors"
    assert [each.name for each in trained_on(weights)] == ["folder", "folder"]
    assert [each.seed for each in trained_on(weights, supernet=True)] == [5]
    write_yaml(run / "config.yaml", {"dataset": "market1501", "data": {"name": "auto"}})
    assert [each.name for each in trained_on(weights)] == ["market1501"]
    write_yaml(run / "config.yaml", {"dataset": "synthetic", "data": {"name": "auto"}})
    assert trained_on(weights) == ()
    write_yaml(run / "config.yaml", {"trials": 5})
    assert trained_on(weights) is trained_on(run / "a.onnx") is trained_on(tmp_path / "b.safetensors") is None


def test_a_mean_is_of_the_trainings_data_wherever_they_are_by_now(run, job, tmp_path):
    """Named by ``--data`` alone they are not the default config's; and with what was trained on besides."""
    own = data_of(run)
    assert own.also_train
    assert on_that_data_alone(job, run).experiment.data == own
    moved = on_that_data_alone(dataclasses.replace(job, data=tmp_path), run).experiment.data
    assert moved == dataclasses.replace(own, dataset=dataclasses.replace(own.dataset, root=tmp_path))
    elsewhere = dataclasses.replace(own, dataset=dataclasses.replace(own.dataset, root=tmp_path / "there"))
    configured = dataclasses.replace(
        job, common=("--config", "own.yaml"), experiment=dataclasses.replace(job.experiment, data=elsewhere)
    )
    assert on_that_data_alone(configured, run).experiment.data == elsewhere
    other = dataclasses.replace(elsewhere, dataset=dataclasses.replace(elsewhere.dataset, seed=6))
    configured = dataclasses.replace(configured, experiment=dataclasses.replace(job.experiment, data=other))
    with pytest.raises(UserError, match="data.dataset.seed: 5 there, 6 here"):
        on_that_data_alone(configured, run)
    (besides,) = own.also_train
    for also_train, kept in (
        ((), own.also_train),
        ((dataclasses.replace(besides, root=tmp_path),), (dataclasses.replace(besides, root=tmp_path),)),
        ((dataclasses.replace(besides, seed=6),), None),
    ):
        data = dataclasses.replace(elsewhere, also_train=also_train)
        configured = dataclasses.replace(configured, experiment=dataclasses.replace(job.experiment, data=data))
        if kept is None:
            with pytest.raises(UserError, match="data.also_train: .*'seed': 5.* there, .*'seed': 6.* here"):
                on_that_data_alone(configured, run)
        else:
            assert on_that_data_alone(configured, run).experiment.data.also_train == kept
