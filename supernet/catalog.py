"""The network that a name or a checkpoint stands for: an arch or another backbone, and the head on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reid.config import build_config, config_to_dict
from reid.errors import UserError, nearest
from reid.models.backbones import BACKBONES, backbone_kind, build_backbone
from reid.models.backbones.timm_any import PREFIX, in_timm
from reid.models.heads import DEFAULT_HEAD, HeadConfig, build_head
from reid.models.network import ReidNetwork
from supernet.arch import Arch
from supernet.files import arch_from_dict, arch_to_dict, known_archs, load_arch
from supernet.network import build_network


@dataclass(frozen=True)
class Backbone:
    """A backbone that is not an arch.

    Attributes:
        name: a name that ``reid.models.backbones.build_backbone`` takes.
        last_stride: 1 or 2 where the backbone offers the choice, else ``None``.
    """

    name: str
    last_stride: int | None = None


@dataclass(frozen=True)
class NetworkSpec:
    """A network as a value: ``build`` makes it, and a checkpoint's header stores it.

    Attributes:
        name: what tables call it.
        backbone: gives the feature map.
        input_size: ``(height, width)`` in pixels.
        head: turns the feature map into a vector.
        origin: how an arch was found, or the paper it is from.
    """

    name: str
    backbone: Arch | Backbone
    input_size: tuple[int, int]
    head: HeadConfig = DEFAULT_HEAD
    origin: Mapping = field(default_factory=dict)

    @property
    def searched(self) -> bool:
        """Whether a search found it: random archs that were drawn from a space, and never scored, do not count."""
        return "space" in self.origin and ("score" in self.origin or self.origin.get("strategy") != "random")

    def at(self, input_size: tuple[int, int] | None) -> NetworkSpec:
        """The same network for another input size (``None``: unchanged)."""
        if input_size is None:
            return self
        backbone = self.backbone.at(input_size) if isinstance(self.backbone, Arch) else self.backbone
        return replace(self, backbone=backbone, input_size=tuple(input_size))


def find_network(
    name: str,
    folders: Sequence[Path],
    input_size: tuple[int, int] | None,
    default_size: tuple[int, int],
    last_stride: int,
    head: HeadConfig = DEFAULT_HEAD,
) -> tuple[NetworkSpec, Path | None]:
    """The network called ``name``, and the arch file it was read from (``None`` for other backbones).

    Args:
        name: a backbone's name, a path to an arch file, or the name of an arch in ``folders`` or ``configs/archs``.
        folders: where arch files are looked for first.
        input_size: overrides an arch's own; ``None`` keeps it.
        default_size: for backbones that have no size of their own where ``input_size`` is ``None``.
        last_stride: for backbones that offer the choice; an arch has its own.
        head: the head on it.

    Raises:
        UserError: nothing has that name; the nearest names are listed.
    """
    kind = backbone_kind(name.lower())
    if kind is not None:
        stride = last_stride if len(kind.last_strides) > 1 else None
        return NetworkSpec(name.lower(), Backbone(name.lower(), stride), input_size or default_size, head), None
    known = known_archs(folders)
    path = Path(name) if name.endswith((".yaml", ".yml")) else known.get(name.lower())
    if path is not None and not path.is_file():
        raise UserError(f"arch file {name} does not exist; name another, or an arch of configs/archs by its name")
    if path is None:
        names = [*sorted(file.stem for file in known.values()), *BACKBONES]
        if in_timm(name):
            raise UserError(f"no network is called '{name}' here, but timm has one; give {PREFIX}{name}")
        raise UserError(f"no network is called '{name}'{nearest(name, names) or '; known: ' + ', '.join(names)}")
    named = load_arch(path)
    arch = named.arch.at(input_size)
    return NetworkSpec(named.name, arch, arch.input_size, head, named.origin), path


def build(spec: NetworkSpec) -> ReidNetwork:
    """The network with fresh weights (from torch's global generator)."""
    if isinstance(spec.backbone, Arch):
        return build_network(spec.backbone, spec.head)
    backbone = build_backbone(spec.backbone.name, spec.backbone.last_stride)
    return ReidNetwork(backbone, build_head(spec.head, backbone.feature_width))


def for_inference(network: ReidNetwork, spec: NetworkSpec) -> tuple[ReidNetwork, NetworkSpec]:
    """The network without parts that serve training only (stripes not used in retrieval, erasing), and its spec."""
    head = network.head.inference_head()
    parts = spec.head.parts if head is network.head else None
    lean = replace(spec.head, parts=parts, erase=None, spectral=None)
    return ReidNetwork(network.backbone, head), replace(spec, head=lean)


def spec_to_dict(spec: NetworkSpec) -> dict:
    """The form of ``spec`` in a checkpoint's header; ``spec_from_dict`` reads it back equal."""
    head = {"head": config_to_dict(spec.head)}
    if isinstance(spec.backbone, Arch):
        arch = arch_to_dict(spec.backbone)
        return {"kind": "arch", "name": spec.name, "arch": arch, **head, "origin": dict(spec.origin)}
    return {
        "kind": "backbone",
        "name": spec.name,
        "backbone": spec.backbone.name,
        "input_size": list(spec.input_size),
        "last_stride": spec.backbone.last_stride,
        **head,
        "origin": dict(spec.origin),
    }


def spec_from_dict(data: Mapping) -> NetworkSpec:
    """The spec that ``spec_to_dict`` wrote. Raises UserError if the mapping does not describe a network, TypeError or
    ValueError if it holds values of another kind: ``reid.files.expecting`` adds the file."""
    try:
        if data["kind"] not in ("arch", "backbone"):
            raise UserError(f"a checkpoint of kind '{data['kind']}' is not a network; give the weights of a network")
        head = build_config(HeadConfig, data["head"], "checkpoint header: head")
        origin = dict(data.get("origin") or {})
        if data["kind"] == "arch":
            arch = arch_from_dict(data["arch"])
            return NetworkSpec(data["name"], arch, arch.input_size, head, origin)
        named = {"name": data["backbone"], "last_stride": data["last_stride"]}
        backbone = build_config(Backbone, named, "checkpoint header: backbone")
        return NetworkSpec(data["name"], backbone, tuple(data["input_size"]), head, origin)
    except KeyError as missing:
        raise UserError(f"checkpoint header: key {missing} is missing; restore the file from a copy") from None
