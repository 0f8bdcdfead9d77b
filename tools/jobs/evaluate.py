"""The job of ``tools/evaluate.py``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaluation.comparison import RESULT
from reid.engine.bn_calibration import calibrate
from reid.engine.checkpoint import load_weights, read_about, save_weights
from reid.engine.device import describe_device
from reid.errors import UserError
from reid.models.network import ReidNetwork
from search.evaluator import calibration_batches
from supernet.arch import Arch
from supernet.catalog import NetworkSpec, build, find_network, spec_from_dict, spec_to_dict
from supernet.checkpoint import load_supernet
from supernet.space import Space, encode, largest, smallest
from tools.cli import Job
from tools.jobs.data import Source, open_source, search_data, train_set_words
from tools.jobs.opening import announce, shown
from tools.jobs.result import WEIGHTS, score_on_test


def evaluate(job: Job, checkpoint: Path, arch: str | None, search: Path) -> Path:
    """Scores the network in ``checkpoint`` (or ``arch`` of the supernet in it) on the test set; returns the run folder.

    Raises:
        UserError: the checkpoint is unreadable or of another kind, or there is a result in the run folder already.
    """
    if (job.out / RESULT).exists() and not job.resume:
        raise UserError(
            f"{job.out} already holds a result; give another folder with --out, or --resume to write it again"
        )
    about = read_about(checkpoint)
    if (about.get("kind") == "supernet") != (arch is not None):
        hint = "which arch? add --arch NAME" if arch is None else "--arch is for supernets: leave it out"
        raise UserError(f"{checkpoint} holds a network of kind '{about.get('kind')}': {hint}")
    source = open_source(job.experiment.data, job.data)
    announce(
        f"evaluating {shown(checkpoint)}",
        [("note", source.notice), ("data", source.dataset.name), ("device", describe_device(job.device))],
    )
    if arch is None:
        spec = spec_from_dict(about)
        network = build(spec)
        load_weights(checkpoint, network)
        network.to(job.device)
        # What it was trained on is the business of the run that trained it.
        kind, train_set, notes = "checkpoint", f"see {checkpoint.parent}", ()
    else:
        network, spec, train_set = _inherited(job, checkpoint, arch, search, source)
        kind, notes = "supernet", ("weights inherited from the supernet, BN calibrated, not retrained",)
        save_weights(job.out / WEIGHTS, network, spec_to_dict(spec))
    score_on_test(
        network, spec, source, job.device, job.out,
        kind=kind, name=spec.name, epochs=0, seed=job.seed, train_set=train_set, notes=notes,
    )  # fmt: skip
    return job.out


def _inherited(
    job: Job, checkpoint: Path, arch: str, search: Path, source: Source
) -> tuple[ReidNetwork, NetworkSpec, str]:
    """The stand-alone network of an arch with the supernet's weights, calibrated as the search does it."""
    supernet = load_supernet(checkpoint, job.device)
    spec = _arch_of(supernet.space, arch, search)
    images = search_data(source, job.experiment.data).train
    network = calibrate(
        supernet.extract(spec.backbone),
        calibration_batches(images, spec.input_size, job.device, job.experiment.search, job.seed),
    )
    return network, spec, train_set_words(source, images)


def _arch_of(space: Space, arch: str, search: Path) -> NetworkSpec:
    if arch in ("largest", "smallest"):
        named = {"largest": largest, "smallest": smallest}[arch](space)
        return NetworkSpec(f"{space.name} {arch}", named, named.input_size)
    spec, _ = find_network(arch, [search / "archs"], space.input_size, space.input_size, 2)
    if not isinstance(spec.backbone, Arch):
        raise UserError(f"--arch {arch}: a supernet holds archs only; name one of space {space.name}")
    encode(space, spec.backbone)
    return dataclasses.replace(spec, name=f"{spec.name} inherited")
