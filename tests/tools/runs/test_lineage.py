"""Networks that had a part in another one are held to what they were trained on, too."""

from __future__ import annotations

import pytest
import yaml
from torch import nn

from reid.engine.runs.checkpoint import save_weights
from reid.files import read_mapping
from tools.jobs.data import open_source
from tools.jobs.runs.lineage import lineage, lineage_of
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.trained_images import TRAINED_IMAGES, note_trained_images


def _run(folder, teachers=(), **config):
    """A run folder of a network that was taught by those in other such folders."""
    folder.mkdir(exist_ok=True)
    digests = ", ".join(sha256(each / "last.safetensors") for each in teachers)
    recipe = {"losses": {"distillation": {"teacher": [str(each) for each in teachers] or None}}}
    told = {"recipe": recipe, "weights": None, **({"teacher_sha256": digests} if digests else {}), **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(told))
    save_weights(folder / "last.safetensors", nn.Linear(2, 2), {"kind": "network"})
    return folder


def test_all_who_had_a_part_are_found_with_the_part_that_they_had(tmp_path):
    first = _run(tmp_path / "first")
    begun = _run(tmp_path / "begun", weights=str(first), weights_sha256=sha256(first / "last.safetensors"))
    other = _run(tmp_path / "other", weights="imagenet")
    taught = _run(tmp_path / "taught", [begun, other])
    digest = sha256(taught / "last.safetensors")
    members = [{"teacher": None}, {"teacher": str(taught), "teacher_sha256": digest}]
    mean = _run(tmp_path / "mean", averaged=members)
    assert lineage(first) == lineage(tmp_path) == {}
    assert lineage(mean) == {
        taught: f"it taught a training that {mean} is the mean of",
        begun: f"it taught {taught}",
        other: f"it taught {taught}",
        first: f"{begun} began with its weights",
    }
    saved = read_mapping(begun / "config.yaml")
    assert lineage_of(saved, tmp_path / "new" / "config.yaml", "this training") == {
        first: "this training began with its weights"
    }


def test_a_supernet_and_its_teacher(tmp_path):
    teacher, supernet = _run(tmp_path / "teacher"), tmp_path / "supernet"
    recipe = {"recipe": {"losses": {"distillation": {"teacher": str(teacher)}}}}
    _run(supernet, supernet=recipe, recipe={}, teacher_sha256=sha256(teacher / "last.safetensors"))
    digest = sha256((supernet / "last.safetensors").rename(supernet / "supernet.safetensors"))
    run = _run(tmp_path / "run", weights=f"supernet:{supernet}", supernet_sha256=digest)
    assert lineage(run) == {supernet: f"{run} began with its weights", teacher: f"it taught {supernet}"}


def test_nothing_is_known_of_those_that_are_gone_or_others_by_now(tmp_path):
    teacher = _run(tmp_path / "teacher")
    student = _run(tmp_path / "student", [teacher], weights=str(tmp_path / "none"))
    assert list(lineage(student)) == [teacher]
    _run(teacher)  # fresh weights
    assert lineage(student) == {}


def test_a_run_that_goes_round_in_a_circle_has_an_end(tmp_path):
    one = _run(tmp_path / "one")
    two = _run(tmp_path / "two", weights=str(one))
    (one / "config.yaml").write_text(yaml.safe_dump({"weights": str(two)}))
    assert list(lineage(one)) == [two, one]


@pytest.mark.parametrize(
    ("option", "part"),
    [
        (("--weights", "{}"), "this training began with its weights"),
        (("--set", "retrain.losses.distillation={{teacher: {}, similarity: 1.0}}"), "it taught this training"),
    ],
    ids=["weights", "teacher"],
)
def test_persons_who_were_trained_on_by_another_are_not_tested(
    call, refused, make_job, small_arch, tmp_path, option, part
):
    other, run = tmp_path / "other", tmp_path / "run"
    retrain = ("retrain", "--arch", small_arch, "--data", "synthetic")
    option = [word.format(other) for word in option]
    for folder, options in ((other, ()), (run, option)):
        done = call(*retrain, "--out", folder, *options)
        assert done.code == 0, done.err
    assert call("evaluate", run, "--out", tmp_path / "before").code == 0

    source = open_source(make_job(tmp_path).experiment.data, None, (64, 32))
    tested = source.decode((*source.dataset.query, *source.dataset.gallery))
    note_trained_images(other, tested)  # as if it had been trained when the set was divided otherwise
    told = rf"persons of synthetic that would be tested .* trained on, as .*other/{TRAINED_IMAGES} says \({part}\)"
    refused(call(*retrain, "--out", tmp_path / "new", *option), told)
    assert not (tmp_path / "new").exists()
    refused(call("evaluate", run, "--out", tmp_path / "after"), told.replace("this training", str(run)))
