"""The task of a stand-alone network: its gradient against the same step written plainly, for any head."""

from __future__ import annotations

import contextlib
import copy
import functools
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reid.engine.machine.device import seeded
from reid.engine.recipe.averaging import AveragingConfig, WeightAverage
from reid.engine.recipe.optimizers import OptimizerConfig, build_optimizer, freeze, group_of
from reid.engine.runs.run_folder import read_metrics
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.task import StepContext
from reid.engine.tasks.teacher import Teacher
from reid.engine.trainer import fit
from reid.losses.config import LossConfig
from reid.losses.triplet import batch_hard_triplet
from reid.models.classifiers import Classifier, CosineClassifier
from reid.models.heads import HeadConfig, PartsConfig, SpectralConfig
from supernet.files import arch_from_rows
from supernet.network import build_network

CLASSES = 5
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=(32, 16), stem=4, last_width=12)
STRIPES = PartsConfig(stripes=3, embedding=4)


PLAIN = LossConfig()


def make(losses: LossConfig = PLAIN, teacher: Teacher | None = None, **head) -> IdentityTask:
    with seeded(5):
        return IdentityTask(build_network(ARCH, HeadConfig(**head)), CLASSES, losses, teacher).train()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 32, 16, generator=generator), torch.tensor([0, 0, 1, 1, 3, 3, 4, 4])


def context(epoch=0.0, seed=2, autocast=contextlib.nullcontext) -> StepContext:
    return StepContext(
        number=0,
        epoch=epoch,
        generator=torch.Generator().manual_seed(seed),
        autocast=autocast,
        backward=lambda loss: loss.backward(),
    )


def step(task, batch, epoch=0.0, seed=2):
    """The step of the training loop: the log, with the gradients left in ``.grad``."""
    return task.backward(*batch, context(epoch, seed))


def same_gradients(task, loss) -> None:
    """Those that the step left behind are the loss's."""
    parameters = [(name, p) for name, p in task.named_parameters() if p.requires_grad]
    wanted = torch.autograd.grad(loss, [p for _, p in parameters], allow_unused=True)
    for (name, parameter), gradient in zip(parameters, wanted, strict=True):
        assert (parameter.grad is None) == (gradient is None), name
        if gradient is not None:
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in wanted)


def test_stripes_with_a_classifier_that_spectral_shares(batch):
    task = make(spectral=SpectralConfig(temperature=0.2, weight=0.5), parts=STRIPES)
    assert [each.weight.shape[1] for each in task.classifiers] == [12, 4, 4, 4]
    log = step(task, batch)
    output, labels = task.network.outputs(batch[0]), batch[1]
    whole, *stripes, mixed = output.parts
    classified = [
        F.cross_entropy(classifier(vector), labels, label_smoothing=0.1)
        for classifier, vector in zip(task.classifiers, (whole, *stripes), strict=True)
    ]
    extra = F.cross_entropy(task.classifiers[0](mixed), labels, label_smoothing=0.1)
    loss = sum(classified) / 4 + 0.5 * extra + batch_hard_triplet(output.feature, labels, 0.3).loss
    assert log["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    same_gradients(task, loss)


@pytest.mark.parametrize(
    "head",
    [
        {"spectral": SpectralConfig(), "dropout": 0.5, "erase": {}},
        {"parts": replace(STRIPES, retrieve="global", update="random", dropout=0.5), "mask": True},
        {"parts": replace(STRIPES, retrieve="global"), "spectral": SpectralConfig(), "dropout": 0.5},
    ],
    ids=["spectral", "stripes for the training", "both"],
)
@pytest.mark.parametrize("parts", [{"head"}, {"head", "backbone"}], ids=["alone", "in a fixed network"])
def test_all_classifiers_learn_from_a_fixed_head(head, parts, batch):
    """It gives all that is classified, by statistics that stay and without chance."""
    task = make(**head)
    freeze(task, build_optimizer(task, OptimizerConfig(rates=dict.fromkeys(parts, 0))), parts)
    before = copy.deepcopy(task.network.head.state_dict())
    first, second = step(task, batch), step(task, batch)
    assert first["loss_ce"].item() == second["loss_ce"].item()
    fixed = copy.deepcopy(task.network.head).eval()
    given = task.network.head(task.network.backbone(batch[0])).parts
    assert len(given) == len(task.network.head.part_classifiers)
    torch.testing.assert_close(given[0], fixed(task.network.backbone(batch[0])).parts[0])
    learning = [each.weight.grad.abs().max() > 0 for each in task.classifiers]
    assert all(learning) or (sum(learning) == len(learning) - 1 and head["parts"].update == "random")
    assert all(p.grad is None for p in task.network.head.parameters())
    after = task.network.head.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("kind", ["am_softmax", "circle"])
def test_cosine_classifiers(batch, kind):
    """Their logits are cosines whatever the scale of network and weight; the scale of the loss makes them sure."""
    task = make(LossConfig(classification={"kind": kind, "scale": 20.0}, triplet={"weight": 0.0}), parts=STRIPES)
    assert len(task.classifiers) == 4 and all(type(each) is CosineClassifier for each in task.classifiers)
    log = step(task, batch)
    with torch.no_grad():
        for each in task.classifiers:
            each.weight.mul_(3.0)
    again = step(task, batch)
    assert again["loss"].item() == pytest.approx(log["loss"].item(), rel=1e-4)
    assert type(make().classifiers[0]) is Classifier


def test_margin_of_the_moment(batch):
    losses = {"kind": "am_softmax", "margin": 0.5, "margin_warmup": 2.0, "smoothing": 0.0}
    task = make(LossConfig(classification=losses, triplet={"weight": 0.0}))
    early, middle, late = (step(task, batch, epoch)["loss"].item() for epoch in (0.0, 1.0, 7.5))
    assert early < middle < late


def test_centers_follow_by_their_formula(batch):
    """``c <- c + rate * 2 / N * sum of (feature - c)`` over an identity's images; others stay."""
    task = make(LossConfig(center={"weight": 0.01, "rate": 0.4}))
    before, features = task.center.centers.clone(), task.network.outputs(batch[0]).feature.detach()
    log = step(task, batch)
    for identity in range(CLASSES):
        own = features[batch[1] == identity]
        moved = before[identity] + 0.4 * 2 / 8 * (own - before[identity]).sum(0)
        torch.testing.assert_close(task.center.centers[identity], moved, rtol=1e-4, atol=1e-5)
    assert torch.equal(task.center.centers[2], before[2])  # identity 2 has no image in the batch
    wanted = sum(((f - before[label]) ** 2).sum() for f, label in zip(features, batch[1], strict=True)) / 8
    assert log["loss_center"].item() == pytest.approx(wanted.item(), rel=1e-4)
    parts = log["loss_ce"] + log["loss_triplet"] + 0.01 * log["loss_center"]
    assert log["loss"].item() == pytest.approx(parts.item(), rel=1e-5)
    assert "center.centers" in task.state_dict() and "center.centers" not in dict(task.named_parameters())
    assert make().center is None


def test_every_parameter_has_its_group():
    task = make(LossConfig(center={"weight": 0.01}), parts=STRIPES, mask=True)
    groups = {name: group_of(name) for name, _ in task.named_parameters()}
    assert {name.split(".")[0] for name, group in groups.items() if group == "classifier"} == {"classifiers"}
    assert {".".join(n.split(".")[:2]) for n, group in groups.items() if group == "head"} == {"network.head"}
    assert set(groups.values()) == {"backbone", "head", "classifier"}


# A teacher.

DISTIL = {"teacher": "a/run", "logits": 0.5, "temperature": 2.0, "embedding": 0.7, "similarity": 3.0}


def make_teacher(dim: int = 12, **head) -> Teacher:
    with seeded(9):
        network = build_network(ARCH, HeadConfig(**head)).eval().requires_grad_(False)
        classifier = Classifier(dim, CLASSES).requires_grad_(False)
        nn.init.normal_(classifier.weight)
    return Teacher(network, (classifier,))


def test_distillation_of_all_three_kinds(batch):
    teacher = make_teacher()
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    task = make(LossConfig(distillation=DISTIL), teacher)
    log = step(task, batch)
    own = task.network.outputs(batch[0])
    logits, labels = task.classifiers[0](own.embedding), batch[1]
    with torch.no_grad():
        theirs = teacher.network(batch[0])
        told = (teacher.classifiers[0](theirs) / 2.0).softmax(1)
    divergence = (told * (told.log() - (logits / 2.0).log_softmax(1))).sum(1).mean()
    cosines = F.cosine_similarity(own.embedding, theirs)
    a, b = (F.normalize(x) @ F.normalize(x).T for x in (own.embedding, theirs))
    distilled = 0.5 * 4.0 * divergence + 0.7 * (1 - cosines).mean() + 3.0 * ((a - b) ** 2).mean()
    plain = F.cross_entropy(logits, labels, label_smoothing=0.1) + batch_hard_triplet(own.feature, labels, 0.3).loss
    assert log["loss_distillation"].item() == pytest.approx(distilled.item(), rel=1e-4)
    assert log["loss"].item() == pytest.approx((plain + distilled).item(), rel=1e-4)
    same_gradients(task, plain + distilled)
    # The teacher stays what it was, and belongs to nobody's state.
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())
    assert not teacher.network.training and task.network.training is not teacher.network.training
    assert all(p.grad is None for p in (*teacher.network.parameters(), *teacher.classifiers[0].parameters()))
    assert task.state_dict().keys() == make().state_dict().keys()
    assert len(list(task.parameters())) == len(list(make().parameters()))
    optimizer = build_optimizer(task, OptimizerConfig())
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert not trained & {id(p) for p in (*teacher.network.parameters(), *teacher.classifiers[0].parameters())}


def test_a_teacher_alone(batch):
    off = {"weight": 0.0}
    task = make(
        LossConfig(classification=off, triplet=off, distillation={"teacher": "a/run", "similarity": 2.0}),
        make_teacher(),
    )
    log = step(task, batch)
    assert log["loss"].item() == pytest.approx(log["loss_distillation"].item()) and log["loss"] > 0
    assert task.network.backbone.stem[0].weight.grad.abs().max() > 0
    assert task.classifiers[0].weight.grad is None


def test_an_average_of_the_student_shares_its_teacher():
    teacher = make_teacher()
    task = make(LossConfig(distillation=DISTIL), teacher)
    average = WeightAverage(task, AveragingConfig(kind="ema"))
    assert average.module is not task and average.module._teacher[0] is teacher


@pytest.mark.parametrize(
    "head",
    [{}, {"normalize": True}, {"parts": STRIPES}, {"parts": replace(STRIPES, global_branch=False)}],
    ids=["plain", "normalised", "PCB and global", "PCB"],
)
def test_logits_are_those_of_the_vector_that_was_classified(batch, head):
    """Of what the teacher's own training classified by this classifier: neither normalised nor the row of branches."""
    teacher = make_teacher(4 if head == {"parts": replace(STRIPES, global_branch=False)} else 12, **head)
    embedding, logits = teacher(batch[0], contextlib.nullcontext)
    classified = teacher.network.outputs(batch[0]).parts[0]
    torch.testing.assert_close(logits, classified @ teacher.classifiers[0].weight.T)
    assert torch.equal(embedding, teacher.network(batch[0]))


@pytest.mark.parametrize("whole", [False, True])
def test_stripes_alone_are_taught_and_teach_by_all_of_them(batch, whole):
    """By the mean of their logits; with a global branch it is that one's."""
    parts = replace(STRIPES, global_branch=whole)
    with seeded(4):
        network = build_network(ARCH, HeadConfig(parts=parts)).train().requires_grad_(False)  # as the student's
        classifiers = tuple(Classifier(dim, CLASSES) for dim in network.head.part_dims)
    for classifier in classifiers:
        nn.init.normal_(classifier.weight)
    speaking = classifiers[:1] if whole else classifiers
    teacher = Teacher(network, speaking)
    config = LossConfig(distillation={"teacher": "a/run", "logits": 1.0})
    task = make(config, teacher, parts=parts)
    for classifier in task.classifiers:
        nn.init.normal_(classifier.weight)
    log = step(task, batch)

    def said(network, classifiers):
        vectors = network.outputs(batch[0]).parts
        return torch.stack([classify(each) for classify, each in zip(classifiers, vectors, strict=False)]).mean(0)

    with torch.no_grad():
        own, theirs = said(task.network, task.classifiers[: len(speaking)]), said(network, speaking)
    torch.testing.assert_close(teacher(batch[0], contextlib.nullcontext)[1], theirs)
    told = theirs.softmax(1)
    divergence = (told * (told.log() - own.log_softmax(1))).sum(1).mean()
    assert log["loss_distillation"].item() == pytest.approx(divergence.item(), rel=1e-4)


def test_cosines_become_logits_by_their_scale(batch):
    """Teacher and student of one kind and of equal weights have nothing to tell each other, at their own scales."""
    student = make(
        LossConfig(
            classification={"kind": "am_softmax", "scale": 25.0},
            distillation={"teacher": "a/run", "logits": 1.0},
        ),
        make_teacher(),
    )
    network = copy.deepcopy(student.network).train().requires_grad_(False)  # BN by the batch, as in the student
    scaled = replace(make_teacher(), network=network, classifiers=(copy.deepcopy(student.classifiers[0]),), scale=25.0)
    student._teacher = (scaled,)
    assert step(student, batch)["loss_distillation"].item() == pytest.approx(0.0, abs=1e-5)
    student._teacher = (replace(scaled, scale=1.0),)
    assert step(student, batch)["loss_distillation"].item() > 0.1


def test_recalibrated_statistics_are_the_images(batch):
    task = make()
    task.recalibrate([batch[0]])
    stem = task.network.backbone.stem
    map_ = stem[0](batch[0]).detach()
    torch.testing.assert_close(stem[1].running_mean, map_.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


# Any step of any head can be trained on.


@pytest.mark.parametrize(
    "head",
    [
        {"pool": "gem", "embedding": 6, "neck": "bn", "dropout": 0.2, "normalize": True, "mask": True},
        {"parts": replace(STRIPES, update="random", drop=2, mask=True, dropout=0.3), "erase": {"height": 0.3}},
        {"parts": replace(STRIPES, update="max_loss", retrieve="global"), "spectral": SpectralConfig()},
    ],
    ids=["everything plain", "random stripes", "worst stripe"],
)
def test_every_loss_on_every_head_learns(head, make_batches, recipe, cpu, tmp_path, image_set):
    """Ten epochs of all losses at once on colours that tell the identities apart."""
    losses = LossConfig(
        classification={"kind": "circle", "scale": 16.0, "margin": 0.2, "margin_warmup": 3.0},
        triplet={"selection": "random_negative"},
        circle={"weight": 0.01, "scale": 16.0},
        center={"weight": 5e-4},
        centroid={"weight": 0.5},
    )
    recipe = replace(
        recipe, epochs=10, losses=losses, head=HeadConfig(**head), optimizer=OptimizerConfig(name="adam", lr=0.003)
    )
    with seeded(3):
        task = IdentityTask(build_network(ARCH, recipe.head), image_set.labels()[1], losses)
    fit(task, make_batches(recipe), recipe, tmp_path, cpu)
    records = read_metrics(tmp_path)
    assert {"loss_circle", "loss_center", "loss_centroid"} <= records[0].keys()
    assert records[-1]["identity_variance"] > records[0]["identity_variance"]
    assert records[-1]["distance_gap"] > records[0]["distance_gap"]


@pytest.mark.parametrize("parts", [None, STRIPES])
def test_under_autocast_classifiers_are_in_single_precision(batch, parts):
    task, logits = make(parts=parts), []
    for classifier in task.classifiers:
        classifier.register_forward_hook(lambda _, given, logit: logits.extend((given[0].dtype, logit.dtype)))
    task.backward(*batch, context(autocast=functools.partial(torch.autocast, "cpu", torch.bfloat16)))
    assert len(logits) == 2 * len(task.classifiers) and set(logits) == {torch.float32}
