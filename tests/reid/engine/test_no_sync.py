"""The training step never waits for the device.

The step runs here on torch's ``meta`` device, whose tensors have a shape and no values: whatever would read one
(``.item()``, ``bool(tensor)``, ``nonzero``, indexing by a mask) raises. A step that runs there can be queued on a GPU
without waiting for it. What meta lets pass and CUDA waits for is caught by ``NoWaiting``.

Three things cannot be shown this way. Autocast knows no meta device: instead networks in bfloat16 hand the losses
what they are handed under autocast. A seed for the device's own generator is set on the host and needs no wait. And
gradients scaled for fp16 must be looked at before each step, which is torch's ``GradScaler``; recipes without fp16 have
it switched off. Where there is a GPU, the last test asks CUDA itself.

The loop around the step does wait, every ``reid.engine.epoch.READ_EVERY`` steps, to look at the loss.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from reid.data.augment import AugmentConfig
from reid.data.samplers import SAMPLERS
from reid.engine.batches import training_batches
from reid.engine.cuda_graph import WARM_UP
from reid.engine.recipe import Recipe
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.optimizers import GroupEpochs, OptimizerConfig, freeze, frozen_groups
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.teacher import Teacher
from reid.engine.training_step import TrainingStep
from reid.losses.config import LossConfig
from reid.models.classifiers import Classifier
from reid.models.heads import FeatureEraseConfig, HeadConfig, PartsConfig, SpectralConfig
from supernet.files import arch_from_rows
from supernet.network import build_network
from supernet.omni.space import OmniStageSpace
from supernet.space import Space, StageSpace
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import SamplingConfig

META = torch.device("meta")
CLASSES, SIZE = 4, (64, 32)
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=SIZE, stem=4, last_width=12)
STAGES = (
    StageSpace(1, (4,), (1,), (3,), (1,)),
    StageSpace(2, (6, 8), (1, 2), (3, 5), (2, 3), se=(False, True), ibn=(False, True), acts=("relu6", "h-swish")),
)
SPACE = Space("toy", SIZE, (4, 6), STAGES, (12,), last_strides=(2, 1), smaller_sizes=((48, 24),))
OMNI_STAGES = (OmniStageSpace(2, (6, 8), (1, 2), (4, 8), (2, 3), (3, 5), transition=(False, True)), STAGES[1])
OMNI = replace(SPACE, stages=OMNI_STAGES, stem_kernels=(3, 7), stem_pool=True)
aten = torch.ops.aten


class NoWaiting(TorchDispatchMode):
    """Raises where CUDA's host would wait and meta lets it pass: for values that come from ordinary CPU memory."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten._to_copy.default and _host(args[0]) and kwargs.get("device", args[0].device).type != "cpu":
            assert kwargs.get("non_blocking"), "a copy to the device is waited for"
        if func is aten.copy_.default and _host(args[1]) and not _host(args[0]):
            assert args[2] if len(args) > 2 else kwargs.get("non_blocking"), "a copy to the device is waited for"
        if func is aten.lift_fresh.default:
            assert _host(args[0]), "torch.tensor(..., device=...) copies numbers and waits"
        if func is aten.where.self:
            assert len({each.device for each in args}) == 1, "where() copies its CPU scalar and waits"
        if func in (aten.index_put_.default, aten.index_put.default):
            assert args[2].ndim or _host(args[0]), "a number assigned through an index is copied and waited for"
        return func(*args, **kwargs)


def _host(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"


def _dispatches_new_tensors() -> bool:
    seen = []

    class Seeing(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Seeing():
        torch.tensor([1.0], device=META)
    return bool(seen)


@pytest.fixture(autouse=True)
def no_autocast_on_meta(monkeypatch):
    real = torch.autocast

    def autocast(device_type: str, *args, **kwargs):
        return contextlib.nullcontext() if device_type == "meta" else real(device_type, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", autocast)


def identity_task(recipe: Recipe = Recipe(), teacher: bool = False) -> IdentityTask:  # noqa: B008  (frozen)
    told = Teacher(build_network(ARCH).eval().to(META), (Classifier(12, CLASSES).to(META),)) if teacher else None
    return IdentityTask(build_network(ARCH, recipe.head), CLASSES, recipe.losses, told)


def run(task: torch.nn.Module, recipe: Recipe, dtype: torch.dtype = torch.float32, steps: int = 1) -> None:
    """The first steps of a training with one step an epoch."""
    task.to(META, dtype).train()
    step = TrainingStep(task, recipe, META, per_epoch=1)
    images = torch.empty(8, 3, *SIZE, device=META, dtype=dtype)
    labels = torch.empty(8, dtype=torch.int64, device=META)
    with NoWaiting():
        for number in range(steps):
            freeze(task, step.optimizer, frozen_groups(recipe.optimizer, 1 + number))
            log, _ = step(images, labels, number)
            assert all(value.device == META and value.ndim == 0 for value in log.values()), "was read for the log"


ONLY = {"classification": {"weight": 0.0}}
LOSSES = {
    "the default": {},
    "circle softmax": {"classification": {"kind": "circle", "margin_warmup": 1.0}},
    "am-softmax": {"classification": {"kind": "am_softmax", "smoothing_over": "others"}},
    "soft margin": {"triplet": {"margin": None, "normalize": True}},
    "weighted": {"triplet": {"selection": "weighted"}},
    "semi-hard": {"triplet": {"selection": "semi_hard"}},
    "random negatives": {"triplet": {"selection": "random_negative"}},
    "random negatives, soft": {"triplet": {"selection": "random_negative", "margin": None}},
    "circle alone": {**ONLY, "triplet": {"weight": 0.0}, "circle": {"weight": 1.0}},
    "centroid and center": {"centroid": {"weight": 1.0}, "center": {"weight": 1.0}},
    "teacher": {"distillation": {"teacher": "t", "logits": 1.0, "embedding": 1.0, "similarity": 1.0, "temperature": 2}},
}


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
def test_losses(losses):
    recipe = Recipe(losses=LossConfig(**losses))
    run(identity_task(recipe, teacher="distillation" in losses), recipe)


@pytest.mark.parametrize("kind", ["linear", "circle", "am_softmax"])
def test_losses_of_half_precision(kind):
    """All that go together, at once; each has been seen alone."""
    together = (
        LOSSES["teacher"] | LOSSES["centroid and center"] | LOSSES["random negatives"] | {"circle": {"weight": 1}}
    )
    recipe = Recipe(losses=LossConfig(classification={"kind": kind}, **together))
    task = identity_task(recipe, teacher=True)
    for told in (task._teacher[0].network, *task._teacher[0].classifiers):
        told.to(torch.bfloat16)
    run(task, recipe, torch.bfloat16)


STRIPES = PartsConfig(stripes=4, embedding=3)
HEADS = {
    "avg_max, embedding, dropout": HeadConfig(pool="avg_max", embedding=4, neck="none", dropout=0.3),
    "max, mask, normalize": HeadConfig(pool="max", neck="bn", mask=True, normalize=True),
    "gem, spectral": HeadConfig(pool="gem", spectral=SpectralConfig()),
    "erase": HeadConfig(erase=FeatureEraseConfig()),
    "erase each image": HeadConfig(erase=FeatureEraseConfig(height=0.2, per_image=True, probability=0.5)),
    "stripes": HeadConfig(parts=STRIPES),
    "stripes alone, masked": HeadConfig(parts=replace(STRIPES, global_branch=False, mask=True, dropout=0.2)),
    "stripes, some dropped": HeadConfig(parts=replace(STRIPES, update="random", drop=2)),
    "stripes, the greatest loss": HeadConfig(parts=replace(STRIPES, update="max_loss", retrieve="global")),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_heads(head):
    recipe = Recipe(head=head)
    run(identity_task(recipe), recipe)


STEPS = {
    "ema": {"averaging": AveragingConfig("ema"), "clip_gradient": 1.0},
    "swa": {"averaging": AveragingConfig("swa", start=0.0)},
    "adam": {"optimizer": OptimizerConfig("adam")},
    "amsgrad": {"optimizer": OptimizerConfig("amsgrad", decay_norm_and_bias=False)},
    "adamw": {"optimizer": OptimizerConfig("adamw")},
    "a frozen backbone": {"optimizer": OptimizerConfig(freeze_epochs=GroupEpochs(backbone=1)), "clip_gradient": 1.0},
}


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_optimizers_and_averages(changes):
    recipe = Recipe(**changes)
    run(identity_task(recipe), recipe, steps=2)


SUPERNETS = {
    "the default": SupernetRecipe(),
    "everything": SupernetRecipe(
        Recipe(averaging=AveragingConfig("ema"), clip_gradient=1.0),
        sampling=SamplingConfig(archs=2, smallest=False),
        kernel_transforms=True,
        embedding_weight=1.0,
    ),
}


def supernet_task(config: SupernetRecipe, space: Space = SPACE) -> SupernetTask:
    return SupernetTask(Supernet(space, config.sharing), CLASSES, config, seed=3)


@pytest.mark.parametrize("space", [SPACE, OMNI], ids=["inverted residual", "omni-scale"])
@pytest.mark.parametrize("config", SUPERNETS.values(), ids=SUPERNETS)
def test_supernets(config, space):
    run(supernet_task(config, space), config.recipe)


@pytest.mark.parametrize("attentive", ["best", "worst"])
def test_attentive_sampling_waits_by_its_nature(attentive):
    """Which arch is trained depends on losses that have to be computed first, and archs are chosen on the host."""
    config = SupernetRecipe(sampling=SamplingConfig(archs=1, attentive=attentive))
    with pytest.raises(RuntimeError, match="cannot be called on meta"):
        run(supernet_task(config), config.recipe)


@pytest.mark.parametrize("size", [SIZE, (80, 40)], ids=["stored size", "resized"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_batches(image_set, recipe, sampler, size):
    data = replace(image_set, sources=torch.arange(len(image_set)) // 15)  # three identities from each of two
    recipe = replace(recipe, sampler=sampler, identities=2)
    batches = training_batches(data, recipe, size, 3, META)
    with NoWaiting():
        drawn = [*batches.epoch(1), *((images, images[:, 0, 0, 0]) for images in batches.calibration(batch=4))]
    assert len(drawn) == batches.per_epoch + 8  # 30 images in fours; the last batch has two
    assert all(x.device == META and x.shape == (len(y), 3, *size) and x.dtype == torch.float32 for x, y in drawn)


AUGMENTATIONS = {
    "crop from larger": AugmentConfig(pad=2, crop_from=1.125),
    "jitter": AugmentConfig(jitter=0.5),
    "grayscale": AugmentConfig(grayscale=0.5),
    "rotate": AugmentConfig(rotate=10),
    "auto-augment": AugmentConfig(auto_augment=1.0),
    "all": AugmentConfig(crop_from=1.125, jitter=0.5, grayscale=0.5, rotate=10, auto_augment=1.0),
}


@pytest.mark.parametrize("config", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations(image_set, recipe, config):
    batches = training_batches(image_set, replace(recipe, augment=config), SIZE, 3, META)
    with NoWaiting():
        drawn = [batch for epoch in range(1, 4) for batch in batches.epoch(epoch)]
    assert all(x.device == META and x.shape == (len(y), 3, *SIZE) and x.dtype == torch.float32 for x, y in drawn)


WAITS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 0),
    "mask": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(),
    "read back": lambda x: x.cpu(),
    "numbers": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "copy": lambda x: torch.ones(4).to(x.device),
    "copy into": lambda x: x.copy_(torch.ones(4)),
    "scalar tensor": lambda x: torch.where(x > 0, x, torch.tensor(0.0)),
    "assignment": lambda x: x.view(2, 2).__setitem__((x[:2].long(), x[2:].long()), 1.0),
}


@pytest.mark.parametrize("waits", WAITS.values(), ids=WAITS)
def test_what_waits_is_caught(waits):
    if waits is WAITS["numbers"] and not _dispatches_new_tensors():
        pytest.skip(
            "this torch (2.11) makes tensors of numbers where no mode sees it: the GPU's test alone guards that"
        )
    with NoWaiting(), pytest.raises((RuntimeError, AssertionError)):
        waits(torch.empty(4, device=META))
    waits(torch.ones(4))  # and is nothing wrong on the CPU


@pytest.mark.parametrize("place", ["forward", "backward", "log"])
def test_a_task_that_waits_is_caught(place):
    class Waiting(IdentityTask):
        def backward(self, images, labels, context):
            if place == "backward":
                images = images.clone().requires_grad_()
                images.register_hook(lambda gradient: gradient * float(gradient.norm() > 0))
            log = super().backward(images, labels, context)
            if place == "forward":
                log["loss"].item()
            return log | ({"read": torch.tensor(1.0)} if place == "log" else {})

    task = Waiting(build_network(ARCH), CLASSES, LossConfig())
    with pytest.raises((RuntimeError, AssertionError), match="meta|was read"):
        run(task, Recipe())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_sees_no_wait(image_set, recipe, precision):
    gpu = torch.device("cuda")
    recipe = replace(recipe, precision=precision, clip_gradient=1.0, averaging=AveragingConfig("ema"))
    recipe = replace(recipe, augment=AUGMENTATIONS["all"])
    batches = training_batches(image_set, recipe, SIZE, 3, gpu)
    tasks = (
        IdentityTask(build_network(ARCH), batches.classes, recipe.losses),
        SupernetTask(Supernet(SPACE), batches.classes, SupernetRecipe(recipe), seed=3),
    )
    drawn = [*batches.epoch(1), *batches.epoch(2)]
    for task in tasks:
        step = TrainingStep(task.to(gpu).train(), recipe, gpu, batches.per_epoch)
        for number, batch in enumerate(drawn):
            # The first steps choose kernels, and the one after them may be recorded.
            torch.cuda.set_sync_debug_mode("error" if number > WARM_UP else "default")
            try:
                step(*batch, number)
            finally:
                torch.cuda.set_sync_debug_mode("default")
    assert len(drawn) > WARM_UP + 2
