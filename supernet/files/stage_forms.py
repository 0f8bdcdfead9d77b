"""Stages, and choices of stages, as the mappings of arch files and space files: one form for each kind of block.

``block`` names the kind; it is left out for inverted residual blocks, as in files written before there were others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reid.errors import UserError, nearest
from supernet.arch import INVERTED_RESIDUAL, AnyStage, Block, Stage
from supernet.files.reading import booleans, texts, whole_number, whole_numbers
from supernet.omni.arch import OMNI_SCALE, OmniBlock, OmniStage
from supernet.omni.space import OmniStageSpace
from supernet.space import StageChoices, StageSpace


@dataclass(frozen=True)
class StageForm:
    """How files write one kind of stage.

    Attributes:
        stage, block, choices: the classes of its values.
        per_block: keys that hold a list (in an arch one entry per block, in a space the options), and the name of the
            value in a block.
        extras: keys of an arch's stage that may be left out.
        extra_choices: keys of a space's stage that may be left out, and how they are read.
    """

    stage: type[AnyStage]
    block: type
    choices: type[StageChoices]
    per_block: Mapping[str, str]
    extras: tuple[str, ...]
    extra_choices: Mapping[str, Callable[[Mapping, str], tuple]]


FORMS = {
    INVERTED_RESIDUAL: StageForm(
        stage=Stage,
        block=Block,
        choices=StageSpace,
        per_block={"kernels": "kernel", "expands": "expand"},
        extras=("se", "ibn", "act"),
        extra_choices={"se": booleans, "ibn": booleans, "acts": texts},
    ),
    OMNI_SCALE: StageForm(
        stage=OmniStage,
        block=OmniBlock,
        choices=OmniStageSpace,
        per_block={"hidden": "hidden", "streams": "streams", "kernels": "kernel"},
        extras=("transition",),
        extra_choices={"transition": booleans},
    ),
}


def stage_to_dict(stage: AnyStage) -> dict:
    """The mapping of an arch's stage; ``stage_from_dict`` reads it back equal. Defaults are left out."""
    form = FORMS[stage.kind]
    lists = {key: [getattr(block, name) for block in stage.blocks] for key, name in form.per_block.items()}
    return {**_kind(stage.kind), "width": stage.width, "stride": stage.stride, **lists} | {
        key: getattr(stage, key) for key in form.extras if getattr(stage, key) != getattr(form.stage, key)
    }


def stage_from_dict(data: Mapping) -> AnyStage:
    """The arch's stage in a mapping. Raises UserError if it is not one, KeyError if a key is missing."""
    form = _form(data, "arch: ")
    _check_keys(data, {"width", "stride", *form.per_block, *form.extras}, "arch: ")
    lists = {key: whole_numbers(data, key) for key in form.per_block}
    (first, blocks), *others = lists.items()
    for key, values in others:
        if len(values) != len(blocks):
            told = f"{len(blocks)} {first} but {len(values)} {key}; give as many of each"
            raise UserError(f"arch stage of width {data['width']}: {told}")
    named = [dict(zip(form.per_block.values(), each, strict=True)) for each in zip(*lists.values(), strict=True)]
    extras = {key: data[key] for key in form.extras if key in data}
    width, stride = whole_number(data, "width"), whole_number(data, "stride")
    return form.stage(width, stride, tuple(form.block(**each) for each in named), **extras)


def choices_to_dict(choices: StageChoices) -> dict:
    """The mapping of a space's stage; ``choices_from_dict`` reads it back equal. Defaults are left out."""
    form = FORMS[choices.kind]
    extras = [key for key in form.extra_choices if getattr(choices, key) != getattr(form.choices, key)]
    keys = ("widths", "depths", *form.per_block, *extras)
    return {**_kind(choices.kind), "stride": choices.stride} | {key: list(getattr(choices, key)) for key in keys}


def choices_from_dict(data: Mapping) -> StageChoices:
    """The space's stage in a mapping. Raises UserError if it is not one, KeyError if a key is missing."""
    form = _form(data, "")
    keys = ("widths", "depths", *form.per_block)
    _check_keys(data, {"stride", *keys, *form.extra_choices}, "")
    extras = {key: read(data, key) for key, read in form.extra_choices.items() if key in data}
    return form.choices(whole_number(data, "stride"), *(whole_numbers(data, key) for key in keys), **extras)


def _kind(kind: str) -> dict:
    return {} if kind == INVERTED_RESIDUAL else {"block": kind}


def _form(data: Mapping, what: str) -> StageForm:
    if not isinstance(data, Mapping):
        raise UserError(f"stages: each must be a mapping (given: {data})")
    kind = data.get("block", INVERTED_RESIDUAL)
    if not isinstance(kind, str) or kind not in FORMS:
        raise UserError(f"{what}block {kind}: must be one of {', '.join(FORMS)}")
    return FORMS[kind]


def _check_keys(data: Mapping, known: set[str], what: str) -> None:
    unknown = sorted(str(key) for key in set(data) - known - {"block"})
    if unknown:
        raise UserError(f"{what}unknown key '{unknown[0]}' in a stage{nearest(unknown[0], known)}")
