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
    GAIN: "a measurement of a search's gain",
    LATENCY: "a latency table's error",
    MATRIX: "a cross-domain matrix",
}
"""Files that mark a folder as a tool's, with words for what the folder then holds."""


LATER = (TEACHER_SHA256, WEIGHTS_SHA256)
"""Keys of a training's configuration that are not settings and were added later: runs without them can be resumed."""

GO_ON, REPLACE = "go on with --resume", "write it again with --replace"
"""Cures for a tool's own earlier run in the folder: hours of work are continued, minutes of work are repeated."""


def check_owner(out: Path, own: str | None = None) -> None:
    """Raises UserError if ``out`` holds another tool's run; ``own`` is the file that marks the caller's own runs."""
    for name, what in _LEFT.items():
        if name != own and (out / name).exists():
            raise UserError(f"{shown(out)} holds {what}; give another folder with --out")
    # ``retrain.py --repeats`` writes configurations only into the folders of the seeds.
    if (out / RESULT).exists() and any(out.glob(f"seed-*/{CONFIG}")):
        raise UserError(f"{shown(out)} holds repeated trainings; give another folder with --out")


def check_free(out: Path, own: str, resume: bool, cure: str = GO_ON) -> None:
    """Raises UserError if ``out`` holds another tool's run, or if it holds one of the caller's, marked by the file
    ``own``, and ``resume`` is not set; ``cure`` then names the option to use."""
    check_owner(out, own)
    if (out / own).exists() and not resume:
        raise taken(shown(out), _LEFT[own], cure)


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Holds a run folder for this process while the block runs. Creates the folder if needed, and removes it again if
    the block raises and left nothing in it.

    Otherwise two processes resuming one run would both append to its records, and the files of two evaluations would
    mix. The lock ends with the process, however that ends, and leaves no file behind. Without locks on the platform or
    file system, nothing is held.

    Raises:
        UserError: another process holds the folder.
    """
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    with locked(run) as held:
        if held is False:
            raise UserError(
                f"{shown(run)}: another process is working there; wait until it ends, or give another folder with --out"
            )
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):  # the folder is not empty
                for folder in made:
                    folder.rmdir()
            raise


def alone(work: Callable[..., T]) -> Callable[..., T]:
    """Makes ``work``, whose first argument is the ``Job``, hold the job's folder from first check to last file."""

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
    """Opens and holds the run folder of a training and announces the start. The first process does this; the others
    wait until it has made the data and reaches this point.

    To be used only once data and settings have been checked: a folder that has been begun cannot be begun again.

    Args:
        images: the training images, which are recorded in the folder (``tools.jobs.runs.trained_images``).

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
        if images is not None and not (job.out / METRICS).exists():  # else from a version that recorded no images
            note_trained_images(job.out, images)
        announce()
        barrier(processes)
        yield
