"""``write_kit``: writes a folder with which another machine can measure a space's latency."""

from __future__ import annotations

import hashlib
import math
import shutil
import zipfile
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from tqdm import tqdm

from evaluation.export.graph import OPSET
from reid.errors import UserError
from reid.files import expecting, read_mapping, write_atomic, write_json
from search.costs import CostTable
from search.latency.check import archs_to_check
from search.latency.draws import spread_archs
from search.latency.kit import measure
from search.latency.measure import ROUNDS, SECONDS
from search.latency.parts import NULL, network_of, space_parts
from search.latency.runners import export_onnx
from search.latency.store import name_of
from search.latency.table import FITTED
from search.latency.targets import Target, check_available
from supernet.space import Space

PROGRAM = "measure.py"

WORDS = {
    "fitted": "its choice of networks differs",
    "checked": "its choice of networks differs",
    "parts": "its space's choice of parts differs",
}
"""Messages for fields of a manifest that are too long to show."""

PERIOD = 256
"""Period of the weights: repeated weights take 1/100 of the space in a zip file. None is 0 and no two layers share
theirs, so the runtime cannot skip or share anything that a trained network needs."""


@dataclass(frozen=True)
class Kit:
    """A written kit: the numbers of parts, whole networks and ``.onnx`` files, and the folder's size in bytes."""

    folder: Path
    parts: int
    networks: int
    models: int
    size: int


def write_kit(
    space: Space,
    target: Target,
    folder: Path,
    *,
    networks: int = 30,
    seed: int = 0,
    costs: CostTable | None = None,
    progress: bool = True,
) -> Kit:
    """Writes what ``build_table`` and ``prediction_error`` would measure on ``target`` into ``folder``: a zip file with
    ``.onnx`` files (identical networks share one), a manifest, and the program that measures them.

    Args:
        space: at the input size to measure.
        target: with the runtime ``onnx``; this machine need not have its threads.
        networks, seed: number of whole networks for checking predictions, and the seed that draws them.

    Raises:
        UserError: the target has another runtime, packages are missing, the folder holds something else or another kit,
            or the space has only one arch.
    """
    if target.runtime != "onnx":
        raise UserError(f"a kit runs in ONNX Runtime on a CPU, not as {target.name}; give --target onnx-cpu-1t")
    check_available(replace(target, threads=1))
    if folder.is_dir() and any(folder.iterdir()) and not (folder / measure.MANIFEST).exists():
        raise UserError(f"{folder} contains something else than a kit; name an empty or a new folder")
    costs = CostTable() if costs is None else costs
    fitted = spread_archs(space, FITTED, "fit", costs)
    checked = archs_to_check(space, fitted, networks, seed, costs)
    wanted = {"parts": [NULL, *space_parts(space)], "networks": list(dict.fromkeys([*fitted, *checked]))}
    asked = {
        "form": measure.FORM,
        "space": space.name,
        "input_size": list(space.input_size),
        "target": target.name,
        "fitted": [name_of(arch) for arch in fitted],
        "checked": [name_of(arch) for arch in checked],
    }
    _check_same(folder, asked, {name_of(part) for part in wanted["parts"]})
    digests: dict[str, dict[str, str]] = {"parts": {}, "networks": {}}
    shapes: dict[str, list[int]] = {}

    def write(path: Path) -> None:
        count = sum(map(len, wanted.values()))
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
            tqdm(total=count, desc="exporting", unit="network", disable=not progress) as bar,
        ):
            for kind, several in wanted.items():
                for what in several:
                    network, shape = network_of(what)
                    batch = (target.batch, *shape)
                    model = export_onnx(with_plain_weights(network), batch, OPSET)
                    digest = digests[kind][name_of(what)] = hashlib.sha256(model).hexdigest()
                    if digest not in shapes:
                        archive.writestr(zipfile.ZipInfo(f"{digest}.onnx"), model, zipfile.ZIP_DEFLATED)
                        shapes[digest] = list(batch)
                    bar.update()

    write_atomic(folder / measure.NETWORKS, write)
    write_atomic(folder / PROGRAM, lambda path: shutil.copyfile(measure.__file__, path) and None)
    manifest = {
        **asked,
        "rule": {"threads": target.threads, "rounds": ROUNDS, "seconds": SECONDS},
        **digests,
        "files": shapes,
    }
    write_json(folder / measure.MANIFEST, manifest)
    size = sum((folder / name).stat().st_size for name in (measure.MANIFEST, measure.NETWORKS, PROGRAM))
    return Kit(folder, len(wanted["parts"]) - 1, len(wanted["networks"]), len(shapes), size)


def _check_same(folder: Path, asked: Mapping[str, Any], parts: Set[str]) -> None:
    """Raises UserError if ``folder`` holds another kit, whose times may still arrive and would no longer match."""
    path = folder / measure.MANIFEST
    if not path.exists():
        return
    cure = "name another folder, or remove this one"
    there = read_mapping(path, cure)
    with expecting(path, cure):
        differs = next((key for key, value in asked.items() if there.get(key) != value), None)
        if differs is None and there["parts"].keys() != parts:
            differs = "parts"
    if differs is not None:
        plain = differs not in WORDS
        words = f"{differs} differs ({there.get(differs)} there, {asked[differs]} here)" if plain else WORDS[differs]
        raise UserError(f"{folder} contains another kit: {words}; {cure}")


def with_plain_weights(network: nn.Module) -> nn.Module:
    """The network with its weights replaced, always by the same values: in every layer, ``PERIOD`` numbers of its own.

    Normalisations keep their initial values; otherwise folding them would give every channel different weights.
    """
    for number, module in enumerate(network.modules()):
        if isinstance(module, _NormBase):
            continue
        for parameter in module.parameters(recurse=False):
            own = torch.randn(PERIOD, generator=torch.Generator().manual_seed(number)) * 0.05
            with torch.no_grad():
                parameter.copy_(
                    own.repeat(math.ceil(parameter.numel() / PERIOD))[: parameter.numel()].view_as(parameter)
                )
    return network
