"""``Experiment``: one configuration for all the tools, from data to retraining."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.synthetic import SyntheticConfig
from reid.engine.recipe import Recipe
from search.config import SearchConfig
from supernet.training import SupernetRecipe

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
DEFAULT_CONFIG = CONFIGS / "market1501.yaml"
CPU_CONFIGS = "configs/market1501-cpu.yaml (Market-1501, about two hours) or configs/demo.yaml (synthetic, minutes)"

Size = tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]]


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """Which images, and which identities are for what.

    Training identities are numbered in ascending order: the first ``train_identities`` train the supernet, the next
    ``holdout_identities`` score the search's candidates. Test identities are other persons altogether.

    Attributes:
        name: ``auto`` takes Market-1501 where it is found and else the synthetic set.
        synthetic: how the synthetic set is made.
        train_identities: ``None`` for all but the held-out ones.
        retrain_on_holdout: whether retraining uses the held-out identities too (the search is over by then).
    """

    name: Literal["auto", "market1501", "synthetic"] = "auto"
    synthetic: SyntheticConfig = dataclasses.field(default_factory=SyntheticConfig)
    train_identities: Annotated[int, Field(ge=2)] | None = None
    holdout_identities: Annotated[int, Field(ge=2)] = 100
    retrain_on_holdout: bool = True


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """Everything that the tools read from a config file.

    Attributes:
        data: images and identities.
        input_size: ``(height, width)`` that networks see; ``None`` for the space's or the arch's own.
        space: name of a space under ``configs/spaces`` or path of a space file.
        supernet: how the supernet is trained.
        search: how it is searched.
        retrain: the recipe that found archs and baselines alike are trained by.
        resnet_last_stride: of the ResNet baselines.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    input_size: Size | None = None
    space: str = "mlr-210m"
    supernet: SupernetRecipe = dataclasses.field(default_factory=SupernetRecipe)
    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    retrain: Recipe = dataclasses.field(default_factory=Recipe)
    resnet_last_stride: Literal[1, 2] = 2
