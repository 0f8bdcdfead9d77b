"""Whole networks from torchreid's files: its OSNet with the ``fc`` that its published scores are computed with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from reid.errors import UserError
from reid.models.backbones.matching import COUNTER, bare_name, osnet_name
from reid.models.backbones.osnet import INSTANCE_NORM, OSNET_CHANNELS
from reid.models.backbones.state_files import read_state
from reid.models.heads import HeadConfig
from reid.models.network import ReidNetwork
from supernet.catalog import Backbone, NetworkSpec, build

CLASSIFIER = "classifier."


def load_torchreid(path: Path, input_size: tuple[int, int] = (256, 128)) -> tuple[ReidNetwork, NetworkSpec]:
    """The OSNet in a file of torchreid (KaiyangZhou/deep-person-reid), in eval mode, and its spec.

    It gives the same vectors as torchreid's model in eval mode: average pooling, then ``fc`` (a linear layer, BN and
    ReLU), which becomes the head ``{embedding: 512, neck: bn, relu: true}``. That head's linear layer has no bias: BN
    cancels a bias in training, and here it is subtracted from BN's running mean. Of the file's tensors only the
    identity classifier is left out.

    Args:
        path: a state dict, or a dict that holds one, as ``torch.save`` wrote it; nothing in it is executed.
        input_size: ``(height, width)`` that it was trained at; the file does not record it.

    Raises:
        UserError: the file is unreadable, or holds another network than an OSNet of a width in ``OSNET_CHANNELS``.
    """
    theirs = {osnet_name(bare_name(name)): tensor for name, tensor in read_state(path).items()}
    name = _which(path, theirs)
    head = HeadConfig(neck="none")
    if "fc.0.weight" in theirs:
        head = HeadConfig(embedding=len(theirs["fc.0.weight"]), neck="bn", relu=True)
    spec = NetworkSpec(f"{name}-torchreid", Backbone(name), input_size, head, {"by": "torchreid", "file": path.name})
    network = build(spec)
    network.load_state_dict(_filled(path, network.state_dict(), _renamed(theirs)))
    return network.eval(), spec


def _which(path: Path, theirs: Mapping[str, Tensor]) -> str:
    """The name in ``OSNET_CHANNELS``, from the widths of stem and stages and the places of instance normalisation."""
    known = ", ".join(OSNET_CHANNELS)
    instance = {name.partition(".IN.")[0] for name in theirs if ".IN." in name}
    places = ("conv1.conv.weight", *(f"{stage}.0.conv3.conv.weight" for stage in ("conv2", "conv3", "conv4")))
    widths = tuple(len(theirs[place]) for place in places if place in theirs)
    for name, channels in OSNET_CHANNELS.items():
        if channels == widths and _normalised(name) == instance:
            return name
    found = "another network"
    if len(widths) == len(places):
        found = f"an OSNet{' with instance normalisation' if instance else ''} of channels {widths}"
    raise UserError(f"{path} contains {found}; give an OSNet of torchreid: {known}")


def _normalised(name: str) -> set[str]:
    """The blocks of the OSNet called ``name`` that have instance normalisation."""
    stages = zip(("conv2", "conv3", "conv4"), INSTANCE_NORM.get(name, ()), strict=False)
    return {f"{stage}.{block}" for stage, places in stages for block, place in enumerate(places) if place != "none"}


def _renamed(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under this framework's names, without the classifier's."""
    renamed = {}
    for name, tensor in _without_shift(theirs).items():
        if name == "fc.0.weight":
            renamed["head.embed.weight"] = tensor
        elif name.startswith("fc.1."):
            renamed[f"head.neck.{name.removeprefix('fc.1.')}"] = tensor
        elif not name.startswith(CLASSIFIER):
            renamed[f"backbone.{name}"] = tensor
    return renamed


def _without_shift(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``theirs`` with the linear layer's bias subtracted from the next BN's running mean, if the shapes match."""
    mean, shift = theirs.get("fc.1.running_mean"), theirs.get("fc.0.bias")
    if mean is None or shift is None or mean.shape != shift.shape:
        return dict(theirs)
    taken = {**theirs, "fc.1.running_mean": (mean.double() - shift.double()).to(mean.dtype)}
    del taken["fc.0.bias"]
    return taken


def _filled(path: Path, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A tensor for each of ``own``: the given one, or its own for BN counters that are missing."""
    for name in sorted({*own, *given}):
        if name.endswith(COUNTER) and name in own:
            continue
        ours, theirs = own.get(name), given.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            there = "not there" if theirs is None else tuple(theirs.shape)
            here = "not known" if ours is None else tuple(ours.shape)
            raise UserError(
                f"{path} contains another network than torchreid's OSNet: {name} is {there}, but {here} in the OSNet"
            )
    return {**own, **given}
