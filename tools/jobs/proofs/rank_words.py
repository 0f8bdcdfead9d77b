"""The request of ``tools/rank.py``, and its messages before the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.engine.machine.device import describe_device
from reid.words import counted
from supernet.space import Space, describe
from tools.jobs.data import SearchData, Source
from tools.jobs.data import describe as describe_images
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.proofs.learning import Lessons
from tools.jobs.proofs.stand_alone import Training
from tools.jobs.proofs.ways import Inheriting
from tools.jobs.runs.strangers import never_trained_on
from tools.jobs.search.held_out import check_teachers, doubts_of_trainings
from tools.jobs.words.opening import announce
from tools.jobs.words.recipes import recipe_lines

ALONE = "alone"


@dataclass(frozen=True)
class Asked:
    """The request for a ranking.

    Attributes:
        supernets: run folders.
        archs: arch files, or folders of them; empty to draw archs.
        count: number of archs to draw.
        band: FLOPs around which they lie; ``None`` for the whole space.
        within: largest distance from ``band``, as a fraction of it.
        repeats: number of seeds that each is trained with, starting from the job's.
        alone: folder of the stand-alone trainings; ``None`` for a subfolder of the job's.
        train: whether to train missing ones; otherwise only finished ones are used.
        finetune_epochs: epochs for training each supernet's weights of each arch further, as additional rankers;
            ``None`` for no such rankers.
        learn_from: rankings of other archs, whose trainings are learnt from for one more ranker.
    """

    supernets: Sequence[Path]
    archs: Sequence[Path] = ()
    count: int = 20
    band: str | None = None
    within: float = 0.05
    repeats: int = 2
    alone: Path | None = None
    train: bool = True
    finetune_epochs: int | None = None
    learn_from: Sequence[Path] = ()

    def folder(self, job: Job) -> Path:
        """The folder of the stand-alone trainings."""
        return self.alone or job.out / ALONE


def announce_ranking(
    job: Job,
    asked: Asked,
    space: Space,
    source: Source,
    images: SearchData,
    trainings: Sequence[Training],
    ways: Sequence[Inheriting],
    lessons: Lessons | None,
) -> None:
    """Prints the announcement before the trainings; ``trainings`` are all requested ones, finished or not."""
    held = f"{describe_images(images.query)} as query, {len(images.gallery)} images as gallery"
    finished, data = sum(each.finished for each in trainings), job.experiment.data
    unsure = [run for run in asked.supernets if not never_trained_on(run, source, data, supernet=True)]
    doubt = f"{', '.join(map(shown, unsure))} may have seen the held-out identities"
    announce(
        f"ranking archs in {shown(job.out)}",
        [
            ("note", source.notice),
            ("note", doubt if unsure else None),
            *(("note", check_teachers(run, source, data)) for run in asked.supernets),
            ("note", doubts_of_trainings(job.experiment.retrain, "archs that are trained alone", source, data)),
            ("data", f"{source.dataset.name}: {describe_images(images.train)}; held-out identities: {held}"),
            ("", "stand-alone trainings leave the held-out identities out too (data.retrain_on_holdout=false)"),
            ("network", describe(space)),
            ("supernets", ", ".join(map(shown, asked.supernets))),
            *recipe_lines(job.experiment.retrain),
            ("trainings", f"{len(trainings)}, {finished} of them finished, in {shown(asked.folder(job))}"),
            *(
                ("inherited", f"{shown(each.supernet)}, trained for {counted(each.epochs, 'epoch')} more")
                for each in ways
            ),
            ("learns", lessons and f"from {lessons.archs} archs of {', '.join(map(shown, lessons.files))}"),
            ("device", describe_device(job.device)),
        ],
    )
