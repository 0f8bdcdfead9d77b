"""Which tensor of a published file fills which tensor of a network: pure functions on names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

WRAPPERS = ("module.", "model.", "backbone.", "base.", "trunk.")
"""Prefixes of names that say where a tool kept the network, and nothing about its layers."""

COUNTER = "num_batches_tracked"
"""BN's count of batches: old files lack it, and nothing here needs it."""


def bare_name(name: str) -> str:
    """``name`` without the wrappers' prefixes: ``module.backbone.conv1.weight`` is ``conv1.weight``."""
    while prefix := next((wrapper for wrapper in WRAPPERS if name.startswith(wrapper)), None):
        name = name.removeprefix(prefix)
    return name


_STREAM = re.compile(r"^(conv[234]\.\d)\.conv2\.([0-3])\.layers\.(\d)\.")
_TRANSITION = re.compile(r"^pool([23])\.0\.")


def osnet_name(name: str) -> str:
    """The name that torchreid's OSNet gives to layer ``name`` of its OSNet-AIN; any other name is returned unchanged.

    ``conv2.0.conv2.1.layers.0.bn.bias`` is ``conv2.0.conv2b.0.bn.bias``, ``pool2.0.conv.weight`` is
    ``conv2.2.0.conv.weight``.
    """

    def stream(match: re.Match) -> str:
        block, which, layer = match.groups()
        return f"{block}.conv2a." if which == "0" else f"{block}.conv2{'abcd'[int(which)]}.{layer}."

    return _TRANSITION.sub(r"conv\1.2.0.", _STREAM.sub(stream, name))


def match_by_name(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, str]:
    """Maps names in ``own`` to the names in ``theirs`` that are equal up to wrappers and ``osnet_name``, whatever the
    shapes."""
    bare = {osnet_name(bare_name(name)): name for name in theirs}
    return {name: bare[bare_name(name)] for name in own if bare_name(name) in bare}


def match_in_order(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, str]:
    """Maps names in ``own`` to other names of the same layers in ``theirs``, matched one after another.

    The layers of ``own`` are taken in its order, those of ``theirs`` by the numbers in their names (a safetensors file
    keeps no order). Every layer must have the same tensors of the same shapes; otherwise nothing is matched and the
    mapping is empty. BN's counters are left out.
    """
    ours, others = _layers(own), _layers(theirs)
    ordered = sorted(others, key=_by_number)
    if [_shapes(layer) for layer in ours.values()] != [_shapes(others[name]) for name in ordered]:
        return {}
    return {
        f"{layer}.{tensor}": f"{other}.{tensor}"
        for layer, other in zip(ours, ordered, strict=True)
        for tensor in ours[layer]
    }


def mobilenet_v2_features(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that torchvision's MobileNetV2 calls ``features.*``, all but the classifier; empty for others."""
    return {name: tensor for name, tensor in theirs.items() if bare_name(name).startswith("features.")}


def _layers(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        layer, _, role = name.rpartition(".")
        if role != COUNTER:
            layers.setdefault(layer, {})[role] = tensor
    return layers


def _shapes(layer: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {role: tuple(tensor.shape) for role, tensor in layer.items()}


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sorts ``features.2`` before ``features.10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"\.", name)]
