"""``tools/retrain.py`` with teachers: what they tell, what they cannot, and which weights taught a student."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from evaluation.comparison.row import read_result
from reid.config import build_config
from reid.data.prepare import prepare
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibration_images
from reid.engine.machine.device import autocast, seeded
from reid.engine.machine.distributed import SINGLE
from reid.engine.runs.checkpoint import read_about, save_weights
from reid.engine.runs.run_folder import read_metrics
from reid.errors import UserError
from reid.files import read_yaml, write_text
from reid.losses.config import DistillationConfig, LossConfig
from reid.models.classifiers import Classifier, CosineClassifier
from supernet.files import load_space
from supernet.supernet import Supernet
from supernet.trained import load_backbone
from supernet.trained.checkpoint import save_supernet
from tools.jobs.data import open_source, retrain_data
from tools.jobs.runs.ownership import training_in
from tools.jobs.runs.provenance import sha256
from tools.jobs.training.teacher import CLASSIFIER, load_teacher, save_classifier, teacher_sha256


def _done(done) -> None:
    assert done.code == 0, done.err


def _student_data(make_job, out):
    job = make_job(out)
    return job, retrain_data(open_source(job.experiment.data, None), job.experiment.data)


def test_teacher_of_an_earlier_run(train, teach, make_job, tmp_path):
    """Its embedding is normalised and its logits are scaled cosines of what stood before."""
    job, images = _student_data(make_job, tmp_path)
    config = DistillationConfig(teacher=str(teach), logits=1.0, embedding=1.0)
    teacher = load_teacher(config, images, (64, 32), job)
    batch = prepare(images.images[:6], (64, 32))
    embedding, logits = teacher(batch, lambda: autocast(torch.device("cpu"), "fp32"))
    network = load_backbone(teach / "last.safetensors")
    classifier = load_file(teach / "classifier.safetensors")["weight"]
    with torch.no_grad():
        before = network.head.neck(network.head.pool(network.backbone(batch)))
        torch.testing.assert_close(embedding, F.normalize(before))
    torch.testing.assert_close(logits, 12 * F.normalize(before) @ F.normalize(classifier).T)
    assert logits.shape == (6, 20) and not logits.requires_grad


def test_stripes_alone_teach_together(train, make_job, tmp_path, refused_at_once):
    """Each has a classifier, and all of these are kept; of an earlier version's run there is the first one's alone."""
    _done(train(tmp_path / "stripes", "retrain.head={parts: {stripes: 2, embedding: 4, global_branch: false}}"))
    job, images = _student_data(make_job, tmp_path)
    config = DistillationConfig(teacher=str(tmp_path / "stripes"), logits=1.0)
    teacher = load_teacher(config, images, (64, 32), job)
    batch = prepare(images.images[:6], (64, 32))
    _, logits = teacher(batch, lambda: autocast(torch.device("cpu"), "fp32"))
    file = tmp_path / "stripes" / CLASSIFIER
    weights = load_file(file)
    with torch.no_grad():
        parts = teacher.network.outputs(batch).parts
    torch.testing.assert_close(logits, sum(parts[i] @ weights[f"{i}.weight"].T for i in range(2)) / 2)
    distil = f"retrain.losses.distillation={{teacher: {tmp_path / 'stripes'}, logits: 1}}"
    _done(train(tmp_path / "student", distil))

    first = Classifier(4, 20)
    first.load_state_dict({"weight": weights["0.weight"]})
    about = {key: value for key, value in read_about(file).items() if key != "branches"}
    save_weights(file, first, about)
    refused_at_once(train(tmp_path / "other", distil), tmp_path / "other", "is only of its first stripe, as earlier")


def test_distillation_of_all_three_kinds(train, teach, tmp_path):
    before = {path: path.read_bytes() for path in teach.rglob("*") if path.is_file()}
    distil = f"retrain.losses.distillation={{teacher: {teach}, logits: 0.5, embedding: 0.5, similarity: 1}}"
    done = train(tmp_path / "run", distil)
    _done(done)
    (record,) = read_metrics(tmp_path / "run")
    parts = record["loss_ce"] + record["loss_triplet"] + record["loss_distillation"]
    assert record["loss"] == pytest.approx(parts, rel=1e-5) and record["loss_distillation"] > 0
    assert read_result(tmp_path / "run").train_set.endswith(f"images, taught by {teach}")
    assert f"distillation from {teach}" in done.out
    assert read_yaml(tmp_path / "run" / "config.yaml")["teacher_sha256"] == sha256(teach / "last.safetensors")
    assert {path: path.read_bytes() for path in before} == before


def test_a_network_of_the_zoo_and_a_run_teach_together(train, teach, tmp_path):
    """The zoo's has no classifier of its training identities; what can be learnt of it are similarities."""
    both = f"{{teacher: [{teach}, OSNet-x0.42-market1501], similarity: 1}}"
    done = train(tmp_path / "run", f"retrain.losses.distillation={both}")
    _done(done)
    (record,) = read_metrics(tmp_path / "run")
    assert record["loss_distillation"] > 0
    assert read_result(tmp_path / "run").train_set.endswith(f", taught by {teach} and OSNet-x0.42-market1501")
    assert f"distillation from {teach} and OSNet-x0.42-market1501" in done.out


def test_an_exported_teacher(train, tmp_path, refused_at_once):
    (exported := tmp_path / "teacher.onnx").write_bytes(b"any")
    done = train(tmp_path / "run", f"retrain.losses.distillation={{teacher: {exported}, embedding: 1}}")
    refused_at_once(done, tmp_path / "run", "teacher.onnx is not a PyTorch network; give the run folder that it was")


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ("logits: 1", ("data.train_identities=10",), "was trained on other identities than the student; its logits"),
        ("embedding: 1", ("retrain.head.embedding=8",), "its embedding has 32 numbers, but the student's has 8"),
    ],
)
def test_what_a_teacher_cannot_tell(train, teach, tmp_path, weights, settings, message, refused_at_once):
    done = train(tmp_path / "run", f"retrain.losses.distillation={{teacher: {teach}, {weights}}}", *settings)
    refused_at_once(done, tmp_path / "run", message)


def test_logits_need_the_classifier_of_the_very_weights(train, teach, supernet_run, tmp_path, refused_at_once):
    for name in ("last.safetensors", "classifier.safetensors"):
        shutil.copy(teach / name, tmp_path / name)
    (tmp_path / "last.safetensors").rename(tmp_path / "best.safetensors")
    setting = f"retrain.losses.distillation={{teacher: {tmp_path / 'best.safetensors'}, logits: 1}}"
    refused_at_once(
        train(tmp_path / "run", setting), tmp_path / "run", "classifier.safetensors next to it belongs to last"
    )
    shutil.copy(supernet_run / "supernet.safetensors", tmp_path / "last.safetensors")
    other = f"retrain.losses.distillation={{teacher: {tmp_path}, logits: 1}}"
    refused_at_once(
        train(tmp_path / "run", other), tmp_path / "run", "next to it was trained with other weights; restore those,"
    )
    (tmp_path / "classifier.safetensors").unlink()
    refused_at_once(
        train(tmp_path / "run", setting), tmp_path / "run", "has no classifier.safetensors next to its weights"
    )


def test_persons_who_are_numbered_as_the_teachers_are_not_taken_for_them(teach, make_job, tmp_path):
    """Two data sets number their persons alike; with other images of the same persons all is well."""
    job, images = _student_data(make_job, tmp_path)
    for name in ("last.safetensors", "classifier.safetensors"):
        shutil.copy(teach / name, tmp_path / name)
    config = DistillationConfig(teacher=str(tmp_path), logits=1.0)
    persons = torch.unique(images.pids).repeat_interleave(2)  # two copies of a picture of noise for each
    noise = torch.randint(0, 256, (20, 64, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    known = ImageSet(noise.repeat_interleave(2, dim=0), persons, torch.ones_like(persons))
    with torch.no_grad():
        vectors = load_backbone(teach)(prepare(noise, (64, 32)))
    about = read_about(tmp_path / "classifier.safetensors")
    knowing = CosineClassifier(vectors.shape[1], 20)
    knowing.load_state_dict({"weight": vectors})
    save_weights(tmp_path / "classifier.safetensors", knowing, about)
    assert load_teacher(config, known, (64, 32), job).classifiers
    strangers = replace(known, images=known.images.roll(2, dims=0))
    message = r"recognises 0 % of the student's training images: its 20 identities have the same numbers but are other"
    with pytest.raises(UserError, match=message):
        load_teacher(config, strangers, (64, 32), job)


def test_a_classifier_that_nothing_has_taught_is_not_kept(tmp_path):
    """A student would learn its first weights, which say nothing."""
    pids = torch.arange(3)
    images = ImageSet(torch.zeros(3, 4, 2, 3, dtype=torch.uint8), pids, pids)
    for name, losses in (
        ("metric", {"classification": {"weight": 0}}),
        ("taught", {"classification": {"weight": 0}, "distillation": {"teacher": "t", "logits": 1}}),
        ("usual", {}),
    ):
        losses = build_config(LossConfig, losses, "test")
        write_text(tmp_path / name / "last.safetensors", "weights")
        written = save_classifier(tmp_path / name, nn.ModuleList([Classifier(4, 3)]), losses, images)
        assert (written is not None) == (tmp_path / name / CLASSIFIER).exists() == (name != "metric")


def test_a_supernet_as_teacher(train, make_job, tmp_path, refused_at_once):
    """Its largest arch, its BN measured on the student's images, augmented, at the student's size."""
    with seeded(2):
        path = save_supernet(tmp_path / "supernet.safetensors", Supernet(load_space("tiny")))
    setting = f"retrain.losses.distillation={{teacher: {path}, similarity: 10}}"
    _done(train(tmp_path / "run", setting))
    (record,) = read_metrics(tmp_path / "run")
    assert record["loss_distillation"] > 0

    job, images = _student_data(make_job, tmp_path)
    config = build_config(DistillationConfig, {"teacher": str(path), "similarity": 10}, "test")
    stem = load_teacher(config, images, (48, 24), job).network.backbone.stem
    shown = []
    stem[0].register_forward_hook(lambda layer, given, map_: shown.append(map_))
    augmentation = job.experiment.supernet.recipe.augment
    # What the tests' search calibrates on.
    (batch,) = calibration_images(images.images, (48, 24), augmentation, most=16, batch=16, seed=job.seed)
    stem(batch)
    torch.testing.assert_close(stem[1].running_mean, shown[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    logits = f"retrain.losses.distillation={{teacher: {path}, logits: 1}}"
    refused_at_once(
        train(tmp_path / "other", logits), tmp_path / "other", "has no classifier.safetensors next to its weights"
    )


def test_of_a_run_a_file_and_none(tmp_path):
    file = write_text(tmp_path / "last.safetensors", "weights")
    digest = {"teacher_sha256": hashlib.sha256(b"weights").hexdigest()}
    for teacher, told in ((tmp_path, digest), (file, digest), (tmp_path / "gone", {})):
        assert teacher_sha256(DistillationConfig(teacher=str(teacher), similarity=1.0)) == told
    assert teacher_sha256(DistillationConfig()) == {}
    both = DistillationConfig(teacher=(str(tmp_path), str(file)), similarity=1.0)
    assert teacher_sha256(both) == {"teacher_sha256": ", ".join([digest["teacher_sha256"]] * 2)}


def test_another_teacher_ends_a_resumed_student_and_an_old_run_goes_on(make_job, tmp_path):
    """That was begun before the digest was kept."""
    job = make_job(tmp_path / "run", resume=True)

    def open_with(digest: str) -> None:
        with training_in(job, {"seed": 0, "teacher_sha256": digest}, lambda: None, SINGLE):
            pass

    open_with("a")
    open_with("a")
    with pytest.raises(UserError, match="started with another configuration .teacher_sha256: a then, b now.; resume"):
        open_with("b")
    saved = read_yaml(job.out / "config.yaml")
    assert saved == {"seed": 0, "teacher_sha256": "a"}
    write_text(job.out / "config.yaml", yaml.safe_dump({"seed": saved["seed"]}))
    open_with("b")
