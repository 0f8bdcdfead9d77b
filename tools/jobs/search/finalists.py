"""Training of a search's finalists, without reading the test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from evaluation.features.extraction import evaluate_network
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.words import counted
from search.history import Candidate
from supernet.files import NamedArch, save_arch
from supernet.trained.checkpoint import load_network
from tools.jobs.data import SearchData
from tools.jobs.job import Job
from tools.jobs.proofs.stand_alone import at_searched_size, on_training_identities
from tools.jobs.runs.supernets import PREFIX
from tools.jobs.search.several import own_folder
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

FOLDER = "finalists"


def check_finalists(job: Job, processes: int) -> None:
    """Raises UserError if finalists are requested but cannot be trained."""
    count = job.experiment.search.finalists.count
    if count and processes > 1:
        raise UserError(
            f"search.finalists.count={count}: finalists are trained in one process; search with --finalists 0 under "
            "torchrun, then give the same command without torchrun, with --resume and --finalists"
        )


def train_finalists(
    job: Job, supernets: Sequence[Path], images: SearchData
) -> Callable[[Sequence[Candidate]], list[float]]:
    """The judge for ``search.finalists``: trains candidates and scores them on the held-out identities of ``images``.

    Each is trained by the shortened recipe on the supernet's training identities, at the input size that it was scored
    at and with the job's seed, in ``finalists/T<trial>-<start>-<epochs>ep``. Finished trainings are kept, interrupted
    ones resumed. With inherited weights and several supernets, each is trained once per supernet (for all but the first
    in a subfolder, ``own_folder``), and its score is the mean.
    """
    config = job.experiment.search.finalists
    recipe = at_epochs(job.experiment.retrain, config.epochs)
    training = at_searched_size(on_training_identities(job))
    training = dataclasses.replace(training, experiment=dataclasses.replace(training.experiment, retrain=recipe))
    begun = [(own_folder(supernets, place), f"{PREFIX}{run}") for place, run in enumerate(supernets)]
    starts = begun if config.start == "inherited" else [("", None)]

    def train(candidates: Sequence[Candidate]) -> list[float]:
        return [mean_score(number, len(candidates), each) for number, each in enumerate(candidates, 1)]

    def mean_score(number: int, count: int, candidate: Candidate) -> float:
        trained = f"{config.start}, {counted(config.epochs, 'epoch')}"
        print(f"finalist {number} of {count}: trial {candidate.trial}, {trained}")
        return fmean(_score(job, images, run(candidate, *start)) for start in starts)

    def run(candidate: Candidate, folder: str, weights: str | None) -> Path:
        name = f"T{candidate.trial}"
        out = job.out / FOLDER / folder / f"{name}-{config.start}-{config.epochs}ep"
        file = save_arch(job.out / FOLDER / "archs" / f"{name}.yaml", NamedArch(name, candidate.arch, {}))
        # ``retrain`` is called for finished ones too: it trains nothing, but notices if settings have changed.
        own = dataclasses.replace(training, out=out, resume=(out / CONFIG).is_file())
        return retrain(own, Retraining(str(file), out / "none", weights, test=False))

    return train


def _score(job: Job, images: SearchData, run: Path) -> float:
    network, spec = load_network(run / WEIGHTS, job.device)
    size = job.experiment.search.eval_batch_size
    return evaluate_network(network, images.query, images.gallery, spec.input_size, job.device, size).mAP
