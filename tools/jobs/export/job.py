"""The job of ``tools/export.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.export import (
    OPSET,
    FileAbout,
    check_installed,
    export_network,
    measure_parity,
    open_session,
    quantise,
    random_pixels,
)
from evaluation.export.parity import LARGEST_SHARE, LEAST_COSINE
from evaluation.protocols import Protocol
from reid.errors import UserError
from reid.files import write_json
from reid.models.network import ReidNetwork
from search.flops_words import format_flops
from search.latency.machine import describe_machine
from supernet.trained.zoo import FOLDER
from tools.jobs.data import Source, open_source
from tools.jobs.evaluate.datasets import check_tested
from tools.jobs.evaluate.result import Wanted, measure
from tools.jobs.evaluate.subject import onnx_subject
from tools.jobs.export.report import PAGE, write_export_report
from tools.jobs.export.rivals import fresh_networks, rival_files
from tools.jobs.export.source import PROBE, Trained, about_of, find_trained, trained_on, training_pixels
from tools.jobs.export.speed import TARGET, measure_speeds
from tools.jobs.export.table import ExportedFile, ExportRow, export_table
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.ownership import alone, check_owner
from tools.jobs.runs.provenance import command, commit, sha256
from tools.jobs.words.opening import announce


@dataclass(frozen=True)
class Request:
    """The outputs requested besides the file.

    Attributes:
        preprocess: whether the graph normalises; its input is then uint8 pixels.
        int8: whether to write a quantised file too.
        score: whether to score the files' mAP and Rank-1 on query and gallery.
        beside: names of networks to export with fresh weights and time in turn with the files.
    """

    preprocess: bool = False
    int8: bool = False
    score: bool = False
    beside: Sequence[str] = ()


@alone
def export(job: Job, source: str, request: Request, zoo: Path = FOLDER) -> Path:
    """Exports the network ``source`` and checks the written files; returns the path of the JSON file beside them.

    Raises:
        UserError: a package is missing, there is no such network, its files exist already, the data are not available,
            or a file's embeddings differ from PyTorch's.
    """
    check_installed()
    trained = find_trained(source, zoo)
    check_owner(job.out)
    paths = [job.out / f"{trained.name}{end}" for end in (".onnx", "-int8.onnx", ".json", PAGE)]
    there = [path for path in paths if path.exists()]
    if there and not job.resume:
        raise UserError(f"{shown(there[0])} already exists; give another --out, or --replace to write it again")
    size = trained.spec.input_size
    networks = fresh_networks(request.beside, size, job)
    data, without = _data(job, trained, request)
    calibration, probe = (None, None) if data is None else training_pixels(data, size)
    samples = {"random": random_pixels(PROBE, size, job.seed)} | ({} if probe is None else {"training": probe})
    about = about_of(trained.network, trained.spec, request.preprocess, sha256(trained.weights))
    _announce(trained, about, data, without)

    with tempfile.TemporaryDirectory() as folder:
        # Rivals first: if one cannot be exported, nothing has been written yet.
        options = (samples["random"], request.preprocess, request.int8, Path(folder))
        rivals = [file for each in networks for file in rival_files(*each, *options)]
        files = [_exported(trained.network, about, paths[0], samples)]
        _remove_stale(paths[1:], request)
        if request.int8:
            told = quantise(paths[0], paths[1], about, calibration)
            parity = measure_parity(trained.network, open_session(paths[1]), probe, told)
            files.append(ExportedFile(paths[1].name, paths[1], told, {"training": parity}))
        if request.score:
            files = [_scored(file, data, job) for file in files]
        rows = _timed([*files, *rivals])
    print(f"\n{export_table(rows)}")
    told = _told(rows, trained, data, request, calibration)
    write_export_report(paths[3], rows, told)
    return write_json(paths[2], told)


def _remove_stale(made: Sequence[Path], request: Request) -> None:
    """Removes files made from the earlier version of the file just rewritten."""
    int8, *_ = made
    if int8.exists() and not request.int8:
        print(f"  removed   {shown(int8)}, quantised from the file that was here before; --int8 writes it again")
    for path in made:
        path.unlink(missing_ok=True)


def _data(job: Job, trained: Trained, request: Request) -> tuple[Source | None, str | None]:
    """The data set that the network was trained on, or, if it is not needed and not available, the reason."""
    needed = request.int8 or request.score
    if not needed and trained.run is None:
        return None, "these weights have no run folder"
    try:
        config = trained_on(trained, job.experiment.data)
        if trained.run is not None and job.data is not None and config.dataset is None and config.name == "synthetic":
            raise UserError(f"--data {job.data}: {shown(trained.run)} was trained on the synthetic set; leave it out")
        data = open_source(config, job.data, trained.spec.input_size)
    except UserError as error:
        if needed:
            raise
        return None, str(error)
    if request.score and not data.dataset.query:
        raise UserError(f"data set '{data.dataset.name}' has no query and gallery; leave --score out")
    if request.score and trained.run is not None:
        check_tested(trained.run, [data])
    return data, None


def _announce(trained: Trained, about: FileAbout, data: Source | None, without: str | None) -> None:
    height, width = about.input_size
    cost = f"{format_flops(about.flops)} FLOPs, {about.parameters / 1e6:.2f}M parameters, {about.feature_dim} features"
    pixels = f"uint8 (N, {height}, {width}, 3) RGB pixels, normalised in the graph"
    floats = f"float32 (N, 3, {height}, {width}), already normalised"
    announce(
        f"exporting {shown(trained.weights)}",
        [
            ("network", f"{trained.spec.name}: {cost}"),
            ("input", pixels if about.pixels else floats),
            ("note", data and data.notice),
            ("images", f"{data.dataset.name}, its training images" if data else f"random ones only: {without}"),
        ],
    )


def _exported(network: ReidNetwork, about: FileAbout, path: Path, samples: Mapping[str, torch.Tensor]) -> ExportedFile:
    found = export_network(network, about, path, samples)
    for words, parity in found.items():
        print(
            f"  parity    {parity.images} {words} images at batch 1 and {parity.images}: largest difference "
            f"{parity.difference:.1e} of {parity.largest:.2g} (allowed: {LARGEST_SHARE:g} of it), lowest cosine "
            f"{parity.least_cosine:.7f} ({LEAST_COSINE:g})"
        )
    return ExportedFile(path.name, path, about, found)


def _scored(file: ExportedFile, data: Source, job: Job) -> ExportedFile:
    """The file with mAP and Rank-1 on the official query and gallery, scored as by ``tools/evaluate.py``."""
    protocol = Protocol(verification=False)
    subject = onnx_subject(file.path, job.device, None, protocol)
    evaluation, _ = measure(subject, [data], Wanted(protocol))
    return replace(file, mAP=evaluation.score.mAP, rank1=evaluation.score.rank1)


def _timed(files: Sequence[ExportedFile]) -> list[ExportRow]:
    speeds = measure_speeds([(file.path, file.about) for file in files])
    return [ExportRow(file, file.path.stat().st_size, speed) for file, speed in zip(files, speeds, strict=True)]


def _told(
    rows: Sequence[ExportRow], trained: Trained, data: Source | None, request: Request, calibration: torch.Tensor | None
) -> dict[str, Any]:
    name = data and data.dataset.name
    return {
        "network": trained.spec.name,
        "weights": shown(trained.weights),
        "opset": OPSET,
        "target": TARGET.name,
        "machine": describe_machine(TARGET),
        "calibrated_on": f"{name}: {len(calibration)} training images" if request.int8 else None,
        "scored_on": name if request.score else None,
        "rows": [row.as_dict() for row in rows],
        "command": command(),
        "commit": commit(),
    }
