"""Every recipe that is shipped trains, and any head trains on any backbone."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import replace
from random import Random

import pytest
import torch
from torch.nn import functional as F

from evaluation.comparison.row import read_result
from reid.config import load_config
from reid.data.prepare import prepare
from reid.engine.machine.device import seeded
from reid.engine.recipe import LossConfig, Recipe
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.checkpoint import load_weights, read_about
from reid.engine.runs.run_folder import read_metrics
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.task import StepContext
from reid.models.heads import HeadConfig, PartsConfig, SpectralConfig, build_head
from reid.models.network import count_parameters
from supernet.catalog import Backbone, NetworkSpec, build, find_network, for_inference, spec_from_dict, spec_to_dict
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample
from tools.jobs.data import open_source
from tools.jobs.data import test_data as official_test
from tools.jobs.experiment import RECIPES
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))
QUICK = ("debug", "bot", "lite-pcb")
SIZE = (48, 24)
ALWAYS = {"epoch", "lr", "loss", "loss_ce", "loss_triplet", "active_triplets", "accuracy", "gradient_norm"}
ALWAYS |= {"distance_positive", "distance_negative", "distance_gap", "embedding_spread", "feature_norm"}
ALWAYS |= {"identity_variance", "images_per_second", "peak_memory_mib"}


def recipe_of(name: str) -> Recipe:
    return load_config(Recipe, RECIPES / f"{name}.yaml")


def test_there_are_recipes():
    assert set(QUICK) <= set(SHIPPED) and len(SHIPPED) >= 9


@pytest.mark.parametrize("name", SHIPPED)
def test_says_what_it_follows(name):
    recipe = recipe_of(name)
    assert len(recipe.source) > 20 and "\n" not in recipe.source
    assert all(recipe.source != recipe_of(other).source for other in SHIPPED if other != name)
    # Nothing that a recipe does at an epoch lies behind its last one.
    schedule = recipe.schedule
    assert schedule.warmup < recipe.epochs and all(milestone < recipe.epochs for milestone in schedule.milestones)
    assert recipe.losses.classification.margin_warmup < recipe.epochs


def _params():
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SHIPPED]


@pytest.mark.parametrize("name", _params())
def test_two_epochs(name, make_job, small_arch, tmp_path, capsys):
    """Through the job: finite records, a result, and weights that load back and give the embedding that was scored."""
    recipe = recipe_of(name)
    job = make_job(tmp_path / "run", f"input_size={list(SIZE)}")
    job = replace(job, experiment=dataclasses.replace(job.experiment, retrain=at_epochs(recipe, 2)))
    run = retrain(job, Retraining(str(small_arch), tmp_path / "none", label=name))

    records = read_metrics(run)
    extra = {"loss_center"} if recipe.losses.center.weight else set()
    assert [record["epoch"] for record in records] == [1, 2]
    assert all(record.keys() == ALWAYS | extra for record in records)
    assert all(math.isfinite(value) for record in records for value in record.values())
    assert recipe.source in capsys.readouterr().out

    row, spec = read_result(run), spec_from_dict(read_about(run / "last.safetensors"))
    assert (row.name, row.epochs, row.input_size) == (f"small ({name})", 2, SIZE)
    assert 0 < row.mAP <= 1 and 0 <= row.rank1 <= 1
    network = build(spec)
    load_weights(run / "last.safetensors", network)
    assert count_parameters(network) == row.parameters

    source = open_source(job.experiment.data, None, SIZE)
    query, gallery = official_test(source)
    features = []
    with torch.no_grad():
        for part in (query, gallery):
            features.append(network.eval()(prepare(part.images, SIZE)))
    assert features[0].shape == (len(query), build(spec).feature_dim)
    assert _rank1(features, query, gallery) == pytest.approx(row.rank1)

    if recipe.head.parts is None or recipe.head.parts.retrieve == "global":
        plain = build_head(replace(recipe.head, parts=None), network.backbone.feature_width)
        assert count_parameters(network.head) == count_parameters(plain)
        assert spec.head.parts is None and network.head.state_dict().keys() == plain.state_dict().keys()


def _rank1(features, query, gallery) -> float:
    """By cosine, in a plain loop; junk and the query's own camera are passed over."""
    right = []
    gallery_features = F.normalize(features[1], dim=1)
    for vector, pid, camid in zip(features[0], query.pids, query.camids, strict=True):
        allowed = (gallery.pids != -1) & ~((gallery.pids == pid) & (gallery.camids == camid))
        if not (allowed & (gallery.pids == pid)).any():
            continue
        cosines = (gallery_features @ F.normalize(vector, dim=0)).masked_fill(~allowed, -math.inf)
        right.append(bool(gallery.pids[cosines.argmax()] == pid))
    return sum(right) / len(right)


def test_branches_of_heavy_serve_the_training_only():
    heavy, plain = recipe_of("heavy"), recipe_of("standard")
    assert heavy.head.parts is not None and plain.head.parts is None
    spec = NetworkSpec("osnet_x0_25", Backbone("osnet_x0_25"), (96, 48), heavy.head)
    network = build(spec).eval()
    shipped, lean = for_inference(network, spec)
    without = build(replace(spec, head=plain.head))
    assert count_parameters(shipped) == count_parameters(without) < count_parameters(network)
    assert build(lean).state_dict().keys() == shipped.state_dict().keys()
    images = torch.randn(2, 3, 96, 48)
    with torch.no_grad():
        assert torch.equal(shipped(images), network(images))


# Any head on any backbone.

HEADS = {
    "gem, embedding": HeadConfig(pool="gem", embedding=32, neck="bn"),
    "PCB, global": HeadConfig(parts=PartsConfig(stripes=2, embedding=16)),
    "PCB": HeadConfig(parts=PartsConfig(stripes=2, embedding=16, global_branch=False, update="max_loss", mask=True)),
    "spectral": HeadConfig(spectral=SpectralConfig(temperature=0.2)),
    "dropout, normalised": HeadConfig(dropout=0.3, normalize=True, mask=True, pool="avg_max", neck="none"),
    "erasing, dropped stripes": HeadConfig(
        erase={"height": 0.25}, parts=PartsConfig(stripes=2, embedding=16, retrieve="global", update="random")
    ),
}
CONTEXT = StepContext(
    number=0,
    epoch=0.0,
    generator=torch.Generator().manual_seed(2),
    autocast=contextlib.nullcontext,
    backward=lambda loss: loss.backward(),
)
BACKBONES = ("osnet_x0_25", "resnet18", "mobilenetv2", "tiny", pytest.param("MLR-210M-A", marks=pytest.mark.slow))


def _spec(backbone: str, head: HeadConfig, tmp_path) -> NetworkSpec:
    if backbone == "tiny":  # what a search of the space could find
        arch = decode(load_space("tiny"), sample(load_space("tiny"), Random(0))).at((64, 32))
        return NetworkSpec("found", arch, (64, 32), head, {"space": "tiny"})
    return find_network(backbone, [tmp_path], (64, 32), (64, 32), 1, head)[0]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_any_head_on_any_backbone(backbone, head, tmp_path):
    """One step reaches every parameter that is trained; the shipped network gives the same embeddings."""
    spec = _spec(backbone, head, tmp_path)
    losses = LossConfig(center={"weight": 5e-4}, centroid={"weight": 0.1})
    with seeded(1):
        task = IdentityTask(build(spec), 4, losses).train()
        images, labels = torch.randn(8, 3, 64, 32), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
        log = task.backward(images, labels, CONTEXT)
    assert math.isfinite(log["loss"])
    assert [name for name, p in task.named_parameters() if p.requires_grad and p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in task.parameters() if p.grad is not None)

    network = task.network.eval()
    shipped, lean = for_inference(network, spec)
    copy = build(spec_from_dict(spec_to_dict(lean)))
    copy.load_state_dict(shipped.state_dict())
    with torch.no_grad():
        embedding = network(images)
        assert embedding.shape == (8, network.feature_dim)
        torch.testing.assert_close(copy.eval()(images), embedding)
    if head.normalize:
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(8))
