"""Words for the units of an arch."""

from __future__ import annotations

import dataclasses

from search.costs import UnitCost
from supernet.arch import AnyStage, Arch


def unit_name(unit: UnitCost, arch: Arch) -> str:
    """``"stage 2, block 1"``, or the unit's own name."""
    place = _place(unit)
    if place is None:
        return unit.path.replace("_", " ")
    stage, layer = place
    return f"stage {stage + 1}, {f'block {layer + 1}' if layer < len(arch.stages[stage].blocks) else 'end'}"


def unit_words(unit: UnitCost, arch: Arch) -> str:
    """``"inverted residual: kernel 5, expand 6, se, h-swish"``: the unit's choices in the arch."""
    place = _place(unit)
    if place is not None:
        stage, layer = arch.stages[place[0]], place[1]
        return _block_words(stage, layer) if layer < len(stage.blocks) else _end_words(stage, unit)
    return {
        "stem": f"{arch.stem_kernel}x{arch.stem_kernel} convolution, {arch.stem_act}",
        "stem_pool": "3x3 max pooling",
        "last": f"1x1 convolution, {arch.last_act}",
        "head": "pooling and embedding" if arch.embedding else "pooling",
    }[unit.path]


def _block_words(stage: AnyStage, number: int) -> str:
    block = stage.blocks[number]
    told = [f"{field.name} {getattr(block, field.name)}" for field in dataclasses.fields(block)]
    told += [name for name in ("se", "ibn") if getattr(stage, name, False)]
    return f"{stage.kind.replace('-', ' ')}: {', '.join([*told, stage.act])}"


def _end_words(stage: AnyStage, unit: UnitCost) -> str:
    told = ["1x1 convolution"] if unit.parameters else []
    return ", ".join(told + (["2x2 average pooling"] if stage.stride == 2 else []))


def _place(unit: UnitCost) -> tuple[int, int] | None:
    """For a unit in a stage: the indices of the stage and of the layer; ``None`` for other units."""
    where, *numbers = unit.path.split(".")
    return (int(numbers[0]), int(numbers[1])) if where == "stages" else None
