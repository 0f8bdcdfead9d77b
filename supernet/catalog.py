"""Which network a name or a checkpoint stands for: an arch, or one of the ResNet baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reid.errors import UserError, nearest
from reid.models.network import ReidNetwork
from reid.models.resnet import RESNETS, build_resnet
from supernet.arch import arch_from_dict, arch_to_dict
from supernet.files import NamedArch, known_archs, load_arch
from supernet.network import build_network


@dataclass(frozen=True)
class ResNetSpec:
    """A ResNet baseline.

    Attributes:
        name: a name in ``RESNETS``.
        input_size: ``(height, width)`` in pixels.
        last_stride: 1 or 2.
        embedding: outputs of a linear layer after pooling, or ``None``.
    """

    name: str
    input_size: tuple[int, int]
    last_stride: int = 2
    embedding: int | None = None


Spec = NamedArch | ResNetSpec


def find_network(
    name: str,
    folders: Sequence[Path],
    input_size: tuple[int, int] | None,
    default_size: tuple[int, int],
    last_stride: int,
) -> tuple[Spec, Path | None]:
    """The network called ``name``, and the arch file it was read from (``None`` for a ResNet).

    Args:
        name: a ResNet's name, a path to an arch file, or the name of an arch in ``folders`` or ``configs/archs``.
        folders: where arch files are looked for first.
        input_size: overrides an arch's own; ``None`` keeps it.
        default_size: for networks that have no size of their own (ResNets) where ``input_size`` is ``None``.
        last_stride: of ResNets.

    Raises:
        UserError: nothing is called so; the nearest names are listed.
    """
    if name.lower() in RESNETS:
        return ResNetSpec(name.lower(), input_size or default_size, last_stride), None
    known = known_archs(folders)
    path = Path(name) if name.endswith((".yaml", ".yml")) else known.get(name.lower())
    if path is None or not path.is_file():
        names = [*sorted(file.stem for file in known.values()), *RESNETS]
        raise UserError(f"no network is called '{name}'{nearest(name, names) or '; known: ' + ', '.join(names)}")
    named = load_arch(path)
    return replace(named, arch=named.arch.at(input_size)), path


def input_size_of(spec: Spec) -> tuple[int, int]:
    """``(height, width)`` in pixels of the images the network takes."""
    return spec.arch.input_size if isinstance(spec, NamedArch) else spec.input_size


def build(spec: Spec) -> ReidNetwork:
    """The network with fresh weights (from torch's global generator)."""
    if isinstance(spec, NamedArch):
        return build_network(spec.arch)
    return build_resnet(spec.name, spec.last_stride, spec.embedding)


def spec_to_dict(spec: Spec) -> dict:
    """What a checkpoint's header says of its network; ``spec_from_dict`` reads it back equal."""
    if isinstance(spec, NamedArch):
        return {"kind": "arch", "name": spec.name, "arch": arch_to_dict(spec.arch), "origin": spec.origin}
    return {
        "kind": "resnet",
        "name": spec.name,
        "input_size": list(spec.input_size),
        "last_stride": spec.last_stride,
        "embedding": spec.embedding,
    }


def spec_from_dict(data: Mapping) -> Spec:
    """Raises UserError where the mapping does not describe a network."""
    try:
        if data["kind"] == "arch":
            return NamedArch(data["name"], arch_from_dict(data["arch"]), dict(data.get("origin") or {}))
        if data["kind"] == "resnet":
            return ResNetSpec(data["name"], tuple(data["input_size"]), data["last_stride"], data["embedding"])
    except KeyError as missing:
        raise UserError(f"checkpoint header: key {missing} is missing") from None
    raise UserError(f"a checkpoint of kind '{data['kind']}' is no network; give the weights of a retrained network")
