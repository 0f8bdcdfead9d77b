"""A run folder belongs to one tool, and to one process at a time."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from evaluation.comparison.row import RESULT, SCORE
from reid.data.records import ImageSet
from reid.engine.machine.distributed import Processes, barrier
from reid.engine.runs.run_folder import CONFIG, METRICS, open_run, taken
from reid.errors import UserError
from reid.locks import locked
from search.folder import SUMMARY
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.moved import TEACHER_SHA256, WEIGHTS_SHA256, where_they_are
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.runs.trained_images import check_trained_images, note_trained_images

T = TypeVar("T")

RANKING, GAIN, LATENCY, MATRIX = "ranking.json", "gain.json", "latency.json", "matrix.json"

_LEFT = {
    CONFIG: "a training or a pipeline",
    SUMMARY: "a search",
    SCORE: "an evaluation",
    RANKING: "a ranking",
    GAIN: "what a search gained",
    LATENCY: "a latency table's error",
    MATRIX: "a cross-domain matrix",
}
"""Files that mark a folder as a tool's, with what they show to be there."""


LATER = (TEACHER_SHA256, WEIGHTS_SHA256)
"""Keys of a training's configuration that are no setting and came up later: a run that says none goes on with any."""

GO_ON, REPLACE = "go on with --resume", "write it again with --replace"
"""How tools treat their own existing run in the folder: work of hours is kept, work of minutes is repeated."""


def check_owner(out: Path, own: str | None = None) -> None:
    """Raises UserError where ``out`` holds another tool's run; ``own`` is the file that the caller's runs leave."""
    for name, what in _LEFT.items():
        if name != own and (out / name).exists():
            raise UserError(f"{shown(out)} holds {what}; give another folder with --out")
    # ``retrain.py --repeats`` has a configuration in each seed's folder alone.
    if (out / RESULT).exists() and any(out.glob(f"seed-*/{CONFIG}")):
        raise UserError(f"{shown(out)} holds repeated trainings; give another folder with --out")


def check_free(out: Path, own: str, resume: bool, cure: str = GO_ON) -> None:
    """Raises UserError where ``out`` holds another tool's run, or one of the caller's, which leaves the file ``own``,
    and ``resume`` is not set; ``cure`` says what the caller then does with it, by which option."""
    check_owner(out, own)
    if (out / own).exists() and not resume:
        raise taken(shown(out), _LEFT[own], cure)


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Holds a run folder for this process while it works there; it is made where it is not there yet, and removed again
    where the block raises and has left nothing there.

    Two processes that go on with one run would both add to its records, and the files of two evaluations would be
    mixed. What ends a process in whatever way lets the folder go, and nothing is written into it. Where the file system
    or the platform has no locks, nothing is held.

    Raises:
        UserError: another process holds it.
    """
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    with locked(run) as held:
        if held is False:
            raise UserError(
                f"{shown(run)}: another process works there; wait for it, or give another folder with --out"
            )
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # something is there
                for folder in made:
                    folder.rmdir()
            raise


def alone(work: Callable[..., T]) -> Callable[..., T]:
    """``work``, whose first argument is the ``Job``, holds the job's folder from its first check to its last file."""

    @functools.wraps(work)
    def held(job: Job, *arguments: Any, **named: Any) -> T:
        with alone_in(job.out):
            return work(job, *arguments, **named)

    return held


@contextlib.contextmanager
def training_in(
    job: Job,
    config: Mapping[str, Any],
    announce: Callable[[], None],
    processes: Processes,
    images: ImageSet | None = None,
) -> Iterator[None]:
    """Opens the run folder of a training, says what begins, and holds the folder; the first process does, and then lets
    the others go on, which wait until it has made the data.

    Only for data and settings that have been found to fit: a folder that is begun cannot be begun again.

    Args:
        images: what is trained on, which is noted in the folder (``tools.jobs.runs.trained_images``).

    Raises:
        UserError: the folder holds another run, or one on other images, or another process works there.
    """
    if not processes.is_main:
        yield
        return
    later = {name: config[name] for name in LATER if name in config}
    with alone_in(job.out):
        if images is not None and job.resume:
            check_trained_images(job.out, images)
        open_run(job.out, config, job.resume, lambda path: {**later, **where_they_are(read_saved(path), config)})
        if images is not None and not (job.out / METRICS).exists():  # else it is of a version that noted none
            note_trained_images(job.out, images)
        announce()
        barrier(processes)
        yield
