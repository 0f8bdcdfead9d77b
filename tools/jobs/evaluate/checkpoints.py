"""Networks by the name that a user gives: those that ``network_file`` finds, or an arch with a supernet's weights."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from evaluation.comparison.row import RESULT, read_result
from evaluation.protocols import Protocol
from reid.engine.runs.checkpoint import read_about
from reid.engine.runs.run_folder import WEIGHTS
from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.arch import Arch
from supernet.catalog import NetworkSpec, find_network
from supernet.space import Space
from supernet.space.genome import encode, largest, smallest
from supernet.supernet import Supernet
from supernet.trained import network_file
from supernet.trained.checkpoint import SUPERNET, load_network, load_supernet
from supernet.trained.zoo import entry_of
from tools.jobs.data import open_source, search_data, train_set_words
from tools.jobs.evaluate.known_training import train_set_of
from tools.jobs.evaluate.subject import Subject, network_subject, onnx_subject
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import cut_out

INHERITED = "inherited_weights"
"""Key in the origin of a network whose weights an evaluation of a supernet's arch wrote."""


def check_weights(run: Path, subject: Path) -> None:
    """Raises UserError if an evaluation in ``run`` would replace or remove weights that no evaluation wrote, such as an
    imported network's. The evaluated network itself may lie there; it is kept."""
    weights = run / WEIGHTS
    if not weights.is_file() or subject.exists() and weights.samefile(subject):
        return
    try:
        ours = INHERITED in (read_about(weights).get("origin") or ())
        # Older weights have no such key, but no other tool writes a row of this kind.
        ours = ours or (run / RESULT).is_file() and read_result(run).kind == "supernet"
    except UserError:
        ours = False
    if not ours:
        raise UserError(
            f"{shown(run)} contains {WEIGHTS} of a network that was not evaluated there; give another --out"
        )


def run_name(source: Path, arch: str | None, dataset: str | None) -> str:
    """The name of a network's output folder, made from the source, the arch and the data set."""
    source = Path(os.path.abspath(source)) if source.exists() else source  # "." alone has no name
    name = source.parent.name if source.suffix == ".safetensors" else source.name
    name = source.stem if source.suffix in (".npz", ".onnx") else name
    if arch:
        # Path.stem only for files: an arch's name may contain a dot (MLR-6.5M-A).
        name += f"-{Path(arch).stem if arch.endswith(('.yaml', '.yml')) else arch}"
    if dataset:
        name += f"-{dataset.partition('=')[0]}"
    return name


def row_name(weights: Path, spec: NetworkSpec) -> str:
    """The name of a network in tables: for one of the zoo its name there, since several networks of the zoo or the
    user's own may share an arch."""
    entry = entry_of(weights)
    return entry.name if entry else spec.name


def start_of(weights: str) -> str | Path:
    """The argument of ``load_pretrained`` for ``--weights``: ``imagenet``, or the file that a path, a run folder or a
    name of the zoo stands for.

    Raises:
        UserError: it is none of these.
    """
    if weights == "imagenet":
        return weights
    whole = Path(weights) / SUPERNET if Path(weights).is_dir() else Path(weights)
    if whole.name == SUPERNET and whole.is_file() and not (Path(weights) / WEIGHTS).is_file():
        raise UserError(f"--weights {weights}: belongs to a supernet; give --inherit {whole.parent} instead")
    try:
        return network_file(weights)
    except UserError as error:
        raise UserError(f"--weights: {error}; for published ImageNet weights give imagenet") from None


def check_arch(path: Path, arch: str | None) -> None:
    """Raises UserError if ``arch`` is given for a network that is not a supernet, or missing for one that is; or if the
    file is unreadable."""
    kind = read_about(path).get("kind")
    if (kind == "supernet") != (arch is not None):
        hint = "name an arch of it with --arch NAME" if arch is None else "--arch is only for supernets; leave it out"
        raise UserError(f"{path} contains a network of kind '{kind}'; {hint}")


def arch_of(space: Space, arch: str, search: Path) -> NetworkSpec:
    """The arch for ``--arch``: ``largest``, ``smallest``, an arch file, or a name in the search or configs/archs.

    Raises:
        UserError: there is no such arch, or it is not in the space.
    """
    if arch in ("largest", "smallest"):
        named = {"largest": largest, "smallest": smallest}[arch](space)
        return NetworkSpec(f"{space.name} {arch}", named, named.input_size, origin={INHERITED: True})
    size = None if space.smaller_sizes else space.input_size  # if the space has several sizes, each arch has its own
    spec, _ = find_network(arch, [search / "archs"], size, space.input_size, 2)
    if not isinstance(spec.backbone, Arch):
        raise UserError(f"--arch {arch}: a supernet contains only archs; name one of space {space.name}")
    try:
        encode(space, spec.backbone)
    except UserError as error:
        raise UserError(f"--arch {arch}: {error}; name an arch of the space, or largest, or smallest") from None
    return dataclasses.replace(spec, name=f"{spec.name} inherited", origin={**spec.origin, INHERITED: True})


def inherited(job: Job, supernet: Supernet, spec: NetworkSpec) -> tuple[ReidNetwork, str]:
    """The stand-alone network of an arch with the supernet's weights, and a description of its training data. BN is
    calibrated as in a search, on training images of the config's data set, whatever data the network is scored on."""
    source = open_source(job.experiment.data, job.data, spec.input_size)
    images = search_data(source, job.experiment.data).train
    # A supernet is trained only on the main data set, without additional training sets.
    return cut_out(supernet, spec, images, job), train_set_words(dataclasses.replace(source, also_train=()), images)


def open_subject(job: Job, path: Path, arch: str | None, search: Path, protocol: Protocol) -> tuple[Subject, str]:
    """The network in a run folder, a weights file (of a supernet, with ``arch``), the zoo or an ``.onnx`` file, and a
    description of its training data.

    Raises:
        UserError: there is none, it is of another kind, or ``arch`` does not suit it.
    """
    path = network_file(path, supernet=arch is not None, by_arch=True)
    if path.suffix == ".npz":
        raise UserError(f"{path}: saved features are not a network; give the run folder, or its {WEIGHTS}")
    if path.suffix == ".onnx":
        if arch is not None:
            raise UserError(f"{path}: --arch is only for supernets; leave it out")
        return onnx_subject(path, job.device, job.experiment.input_size, protocol), "not told"
    check_arch(path, arch)
    if arch is None:
        network, spec = load_network(path, job.device)
        train_set = train_set_of(path)
    else:
        supernet = load_supernet(path, job.device)
        spec = arch_of(supernet.space, arch, search)
        network, train_set = inherited(job, supernet, spec)
    about = {"weights": shown(path), "weights_sha256": sha256(path)}
    return network_subject(network, spec, job.device, about), train_set
