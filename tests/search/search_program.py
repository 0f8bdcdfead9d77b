"""What ``test_processes.py`` runs in processes of their own: a search in ``FOLDER/run``.

WHAT is ``all``; ``kill:K``, which is killed while trial K is evaluated; ``cut:K``, which is killed while the line of
trial K is written; ``fail:K`` and ``refuse:K``, where the evaluation of trial K raises; ``nan``, where some fail; or
``supernet``, where a real one is searched.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

import search.run
from reid.data.records import ImageSet
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import from_environment, process_group
from reid.errors import UserError
from search.asked import Asked
from search.config import SearchConfig
from search.history import read_candidates
from search.limits import Limits
from search.means import Means
from search.scoring.evaluator import SupernetEvaluator
from search.workers import Evaluate, Team
from supernet.files import load_space
from supernet.supernet import Supernet

SPACE = load_space("tiny")
CONFIG = SearchConfig(trials=18, population=6, sample_size=3, generation=5, calibration_batches=1)
SIZE = (32, 16)


def score(arch) -> float:
    return sum(stage.width * block.kernel for stage in arch.stages for block in stage.blocks) / 10_000


def arch_of(folder: Path, trial: int):
    """What the unbroken search beside evaluated as ``trial``."""
    return read_candidates(folder / "whole.jsonl")[trial].arch


def evaluate_until(what: str, folder: Path) -> Evaluate:
    """The artificial evaluation, with what is to happen at a trial."""
    kind, _, trial = what.partition(":")
    arch = arch_of(folder, int(trial)) if trial else None

    def evaluate(given) -> dict[str, float]:
        if given == arch and kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if given == arch and kind == "fail":
            raise ValueError(f"no luck with trial {trial}")
        if given == arch and kind == "refuse":
            raise UserError(f"trial {trial} is refused")
        value = float("nan") if kind == "nan" and given.stages[1].width % 16 else score(given)
        return {"default": value, "rank1": value / 2}

    return evaluate


def killed_while_writing(trial: int):
    """``append_candidate`` that dies with half of a line on the disk."""
    write = search.run.append_candidate

    def append(path: Path, candidate) -> None:
        write(path, candidate)
        if candidate.trial == trial:
            line = path.read_bytes().splitlines(keepends=True)[-1]
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - len(line) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return append


def supernet_evaluator() -> SupernetEvaluator:
    """A fresh supernet on noise: its scores say nothing, but they are the same everywhere."""

    def images(count: int, first: int, seed: int) -> ImageSet:
        random = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (count, *SIZE, 3), generator=random, dtype=torch.uint8)
        return ImageSet(pixels, first + torch.arange(count) % 4, torch.arange(count) % 5)

    with seeded(0):
        supernet = Supernet(SPACE.at(SIZE))
    return SupernetEvaluator(supernet, images(20, 1, 0), images(8, 10, 1), images(24, 10, 2), "cpu", CONFIG)


def main(folder: Path, strategy: str, what: str) -> None:
    space = SPACE.at(SIZE) if what == "supernet" else SPACE
    limits = Limits(flops=1_500_000 if what == "supernet" else 6_000_000)
    if what.startswith("cut:"):
        search.run.append_candidate = killed_while_writing(int(what[4:]))

    def make() -> Evaluate:
        return supernet_evaluator() if what == "supernet" else evaluate_until(what, folder)

    with process_group(from_environment(torch.device("cpu")), f"file://{folder}/meeting") as processes:
        team = Team(processes)
        if not processes.is_main:
            team.serve(make)
            return
        out = folder / "run"
        try:
            asked, means = Asked(space, limits, CONFIG, strategy, 4), Means(make(), team=team)
            search.run.run_search(asked, means, out, resume=out.exists(), progress=False)
        finally:
            team.dismiss()
