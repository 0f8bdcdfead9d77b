"""Messages of ``tools/search.py`` before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.engine.machine.device import describe_device
from reid.words import counted
from search.config import FinalistsConfig, SearchConfig
from search.front import cost_fields, words_of
from search.limits import Limits
from search.limits.limits import describe as describe_limits
from search.predictor.alone import AlonePredictor
from search.ranking.statistics import bootstrap, kendall_tau
from search.scoring.committee import Committee
from search.scoring.evaluator import SupernetEvaluator
from search.scoring.learned import LearnedEvaluator
from search.workers import Team
from supernet.space import Space, describe, sizes_words
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.data import SearchData, Source
from tools.jobs.data import describe as describe_images
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.troubles import lasting


@dataclass(frozen=True, eq=False)
class Opened:
    """What a process needs to evaluate candidates.

    Attributes:
        space: at the supernet's input size.
        source: the data set and the split of its persons.
        images: of the held-out persons and of the training.
        evaluator: scores an arch.
    """

    space: Space
    source: Source
    images: SearchData
    evaluator: SupernetEvaluator | Committee | LearnedEvaluator


def opening_lines(
    job: Job,
    opened: Opened,
    limits: Limits,
    strategy: str,
    supernets: Sequence[Path],
    team: Team,
    doubts: Sequence[str],
) -> list[tuple[str, str]]:
    """Named lines about the search: data, supernets and what the doctor found in their trainings, limits, how
    candidates are scored, and ``doubts`` whether the supernets or their teachers know the held-out persons."""
    config, space, evaluator = job.experiment.search, opened.space, opened.evaluator
    query, gallery = opened.images.query, opened.images.gallery
    held = f"{describe_images(query)} as query, {len(gallery)} images as gallery"
    budget = [counted(config.trials, "candidate")] if config.trials else []
    budget += [f"{config.time} of evaluation"] if config.time else []
    shared = f" in {team.size} processes" if team.size > 1 else ""
    idle = f"; more processes than candidates of a generation ({config.generation})" * (team.size > config.generation)
    lines = [
        ("note", opened.source.notice),
        *(("note", doubt) for doubt in doubts),
        ("data", f"{opened.source.dataset.name}, held-out identities: {held}"),
        ("network", f"{describe(space)}; {_named(supernets)}"),
        *(("warning", f"{whose} training: {words}") for whose, words in _troubles(supernets)),
        ("limits", f"{describe_limits(limits)} at {sizes_words(space.at(config.cost_input_size))}"),
        ("search", f"{strategy} by NNI{_front(config)}, {', '.join(budget)}, seed {job.seed}{shared}{idle}"),
        ("scores", _scores(evaluator)),
        ("finalists", _finalists(config.finalists, len(supernets))),
        ("device", describe_device(job.device)),
    ]
    return [(name, value) for name, value in lines if value is not None]


def _named(supernets: Sequence[Path]) -> str:
    files = ", ".join(shown(run / SUPERNET) for run in supernets)
    return f"{'supernets' if len(supernets) > 1 else 'supernet'} {files}"


def _troubles(supernets: Sequence[Path]) -> list[tuple[str, str]]:
    """Whose training, and its lasting trouble, for every finding."""
    alone = len(supernets) == 1
    return [
        ("the supernet's" if alone else f"{shown(run)}'s", f"{each.trouble}: {each.evidence}; try: {each.cure}")
        for run in supernets
        for each in lasting(run)
    ]


def _scores(evaluator: SupernetEvaluator | Committee | LearnedEvaluator) -> str | None:
    if isinstance(evaluator, Committee):
        return f"mean over {len(evaluator.members)} supernets"
    return _learnt(evaluator.predictor) if isinstance(evaluator, LearnedEvaluator) else None


def _learnt(predictor: AlonePredictor) -> str:
    features = ["choices"]
    features += ["FLOPs"] if predictor.takes_flops else []
    features += ["the supernet's score"] if predictor.takes_supernet else []
    tau = bootstrap(kendall_tau, predictor.left_out, predictor.scores)
    order = "no tau" if tau is None else f"tau {tau}"
    learnt = f"predicted from {', '.join(features)}; fitted to {len(predictor.scores)} archs that were trained alone"
    return f"{learnt}, {order} with the score of each when it is left out"


def _front(config: SearchConfig) -> str:
    if config.front is None:
        return ""
    return f" over {words_of(cost_fields(config.front, config.target is not None), score=True)}"


def _finalists(config: FinalistsConfig, supernets: int) -> str | None:
    if not config.count:
        return None
    inherited = "the supernet's weights" if supernets == 1 else "each supernet's weights, scored by the mean"
    weights = inherited if config.start == "inherited" else "fresh weights"
    return f"the best {config.count}, each trained for {counted(config.epochs, 'epoch')} from {weights}"
