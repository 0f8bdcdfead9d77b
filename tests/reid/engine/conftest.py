"""Small image sets and networks that the tests of the training engine share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reid.data.augment import AugmentConfig
from reid.data.records import ImageSet
from reid.engine.batches import TrainingBatches, training_batches
from reid.engine.machine.device import seeded
from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.tasks.identity_task import IdentityTask
from supernet.files import arch_from_rows
from supernet.network import build_network
from supernet.space import Space, StageSpace
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import SamplingConfig

CPU = torch.device("cpu")
IDENTITIES, EACH, SIZE = 6, 5, (32, 16)
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 2, 2), (3, 8, 1, 2)), input_size=SIZE, stem=4, last_width=16)
SPACE = Space(
    "toy",
    SIZE,
    (4, 6),
    (StageSpace(1, (4,), (1,), (3,), (1,)), StageSpace(2, (6, 8), (1, 2), (3, 5), (2, 3))),
    (16,),
)


@pytest.fixture(scope="session")
def cpu() -> torch.device:
    return CPU


@pytest.fixture(scope="session")
def image_set() -> ImageSet:
    """Noise in a colour of each identity's own, which a network can learn."""
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(IDENTITIES).repeat_interleave(EACH)
    corners = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    colours = corners * 160.0 + 20
    noise = torch.rand(len(pids), *SIZE, 3, generator=generator) * 55
    images = (colours[pids][:, None, None] + noise).to(torch.uint8)
    return ImageSet(images, pids, torch.arange(len(pids)) % 2 + 1)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(
        epochs=4,
        identities=3,
        instances=2,
        optimizer=OptimizerConfig(lr=0.05),
        schedule=ScheduleConfig(warmup=1),
        augment=AugmentConfig(pad=2),
    )


@pytest.fixture(scope="session")
def make_batches(image_set) -> Callable[[Recipe], TrainingBatches]:
    def make(recipe: Recipe) -> TrainingBatches:
        return training_batches(image_set, recipe, SIZE, 3, CPU)

    return make


@pytest.fixture(params=["identity", "supernet"])
def make_task(request) -> Callable[[Recipe], torch.nn.Module]:
    """The two tasks of the product, with the same fresh weights at each call."""

    def make(recipe: Recipe) -> torch.nn.Module:
        with seeded(7):
            if request.param == "identity":
                return IdentityTask(build_network(ARCH), IDENTITIES, recipe.losses)
            config = SupernetRecipe(recipe, sampling=SamplingConfig(archs=1))
            return SupernetTask(Supernet(SPACE), IDENTITIES, config, seed=3)

    return make


@pytest.fixture(scope="session")
def make_identity_task() -> Callable[[Recipe], IdentityTask]:
    def make(recipe: Recipe) -> IdentityTask:
        with seeded(7):
            return IdentityTask(build_network(ARCH), IDENTITIES, recipe.losses)

    return make
