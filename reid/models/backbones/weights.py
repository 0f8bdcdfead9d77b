"""Pretrained weights for a backbone: published ones, or a local file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from reid.errors import UserError
from reid.models.backbones.fetch import fetch_state
from reid.models.backbones.matching import (
    COUNTER,
    bare_name,
    match_by_name,
    match_in_order,
    mobilenet_v2_features,
    osnet_name,
)
from reid.models.backbones.osnet import UNPUBLISHED
from reid.models.backbones.registry import BACKBONES, backbone_kind
from reid.models.backbones.state_files import check_is_there, read_state

LEAST_FILLED = 0.9
"""Share of the backbone's tensors that a file must fill."""

MOST_UNUSED = 0.25
"""Share of a file's tensors that may be left over, as heads and classifiers are; with more, it is of a deeper network.
Where a file keeps its backbone separate, only the backbone's tensors count: a head of stripes has dozens of its own."""

_APART = re.compile(r"(module\.|model\.)*backbone\.")
"""Start of the names of a backbone's tensors in files of this product and of fast-reid; a head's differ."""


@dataclass(frozen=True)
class PretrainedReport:
    """Which tensors were loaded; BN's batch counters are left out.

    Attributes:
        loaded: names in the backbone that were filled.
        skipped: names in the source that the backbone does not have, or has with another shape.
        missing: names in the backbone that were not filled and kept their values.
    """

    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{len(self.loaded)} of {len(self.loaded) + len(self.missing)} tensors loaded"
        for what, names in (("not in the source", self.missing), ("unused", self.skipped)):
            if names:
                text += f"; {what}: {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}"
        return text


def load_pretrained(backbone: nn.Module, source: str | Path) -> PretrainedReport:
    """Fills ``backbone`` with pretrained weights, in place; if they are refused, nothing is changed.

    Names are compared without the prefixes that tools put before them (``module.``, ``backbone.``, ``base.`` ...), so
    files of torchvision, timm, torchreid, IBN-Net and of this product's own trainings load. torchvision's MobileNetV2
    loads into any backbone that has its layers in its order, as the arch ``mobilenetv2`` does.

    Args:
        backbone: a backbone that ``build_backbone`` made, or any module for a file with its names.
        source: ``"imagenet"`` for published ImageNet weights from the network or torch's cache, or the path of a
            ``.safetensors`` file or of a file that ``torch.save`` wrote (a state dict, or a dict that holds one as
            ``state_dict`` or ``model``).

    Raises:
        UserError: the weights cannot be fetched or read, fill less than ``LEAST_FILLED`` of the backbone's tensors, or
            more than ``MOST_UNUSED`` of them are left over (not counting a head that the file keeps separate).
    """
    if str(source) == "imagenet":
        name, url = _published(backbone)
        state, where = fetch_state(url, name), f"ImageNet weights of {name}"
    else:
        state, where = read_state(Path(source)), f"weights {source}"
    own = backbone.state_dict()
    pairs = _pairs(own, state)
    report = _report(own, state, pairs)
    _refuse_others(where, own, state, pairs, report)
    filling = {name: state[theirs] for name, theirs in pairs.items() if state[theirs].shape == own[name].shape}
    backbone.load_state_dict(filling, strict=False)
    return report


def check_pretrained(backbone: nn.Module, source: str | Path) -> None:
    """Raises UserError for what ``load_pretrained`` would refuse before reading any weight, so that a user learns of it
    before data are opened; ``backbone`` may be on torch's ``meta`` device."""
    if str(source) == "imagenet":
        _published(backbone)
    else:
        check_is_there(Path(source))


def _published(backbone: nn.Module) -> tuple[str, str]:
    """Name and address of the ImageNet weights of a backbone."""
    name = getattr(backbone, "name", None)
    kind = backbone_kind(name) if name else None
    if kind is not None:
        return name, kind.imagenet_url(name)
    import torchvision  # here, since it takes seconds

    with torch.device("meta"):
        mobilenet = torchvision.models.mobilenet_v2(weights=None)
    if match_in_order(backbone.state_dict(), mobilenet_v2_features(mobilenet.state_dict())):
        return "mobilenetv2", torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.url
    published = [name for name in BACKBONES if name not in UNPUBLISHED]
    raise UserError(
        "no ImageNet weights are known for this backbone; give the path of a file with its weights, or train it"
        f" from scratch (there are some for mobilenetv2, {', '.join(published)})"
    )


def _pairs(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, str]:
    """Maps names in the backbone to names in the source; BN's counters too where both have them."""
    return match_by_name(own, state) or match_in_order(own, mobilenet_v2_features(state))


def _report(own: Mapping[str, Tensor], state: Mapping[str, Tensor], pairs: Mapping[str, str]) -> PretrainedReport:
    fits = {name: theirs for name, theirs in pairs.items() if own[name].shape == state[theirs].shape}
    used = set(fits.values())
    return PretrainedReport(
        loaded=tuple(name for name in own if name in fits and not name.endswith(COUNTER)),
        skipped=tuple(name for name in state if name not in used and not name.endswith(COUNTER)),
        missing=tuple(name for name in own if name not in fits and not name.endswith(COUNTER)),
    )


def _refuse_others(
    where: str,
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    pairs: Mapping[str, str],
    report: PretrainedReport,
) -> None:
    loaded, wanted = len(report.loaded), len(report.loaded) + len(report.missing)
    if loaded < LEAST_FILLED * wanted:
        first = report.missing[0]
        ours, theirs = tuple(own[first].shape), tuple(state[pairs[first]].shape) if first in pairs else "none"
        raise UserError(
            f"{where} are of another network: they fill {loaded} of the backbone's {wanted} tensors; the first that"
            f" they do not fill is {first}: {ours} in the backbone, {theirs} in the file"
        )
    unused = report.skipped
    if any(map(_APART.match, state)):
        unused = list(filter(_APART.match, unused))
    given = loaded + len(unused)
    if len(unused) > MOST_UNUSED * given:
        raise UserError(
            f"{where} are of another network: {len(unused)} of their {given} tensors have no place in the"
            f" backbone, {unused[0]} the first"
        )
    here, there = ({osnet_name(bare_name(name)) for name in names if ".IN." in name} for names in (own, state))
    if here != there:  # in an OSNet these tensors are so few that the shares above let them pass
        verbs = ("have", "lacks") if there else ("lack", "has")
        words = "they {} instance normalisation, which the backbone {}".format(*verbs)
        if here and there:
            words = "they have instance normalisation in other places than the backbone"
        raise UserError(f"{where} are of another network: {words}")
