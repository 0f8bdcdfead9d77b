"""What is learnt from archs that were trained alone, by the ``ranking.json`` that ``tools/rank.py`` leaves: a search's
scores, and a ranker that ``tools/rank.py`` holds against trainings it has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.errors import UserError
from reid.files import expecting, read_mapping
from search.predictor.alone import FEWEST, AlonePredictor, TrainedArch, fit_alone
from search.ranking.analysis import HOLDOUT, OTHER_RANKINGS, RankedArch
from supernet.arch import Arch
from supernet.files import arch_from_dict
from supernet.space import Space
from supernet.space.genome import encode
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.proofs.rank_result import RANKING
from tools.jobs.proofs.trained_alike import ANEW, check_same_persons, check_trained_alike


def with_learnt(space: Space, ranked: Sequence[RankedArch]) -> list[RankedArch]:
    """The archs, each with what the others' trainings say of it, where there are enough of them.

    Of several supernets the first one's scores are offered to the predictor.
    """
    if len(ranked) <= FEWEST:
        return list(ranked)
    label = next(iter(ranked[0].supernets))
    trained = [TrainedArch(each.arch, each.flops, each.supernets[label], each.truth(HOLDOUT)) for each in ranked]
    predicted = fit_alone(space, trained).left_out
    return [dataclasses.replace(arch, learnt=float(own)) for arch, own in zip(ranked, predicted, strict=True)]


IN_SEARCH, IN_RANK = "search.learn_from", "--learn-from"
"""Where a user named the rankings; refusals begin with it."""


def ranking_file(place: str | Path, where: str = IN_SEARCH) -> Path:
    """``place`` itself, or the ``ranking.json`` in the folder ``place``; raises UserError where there is none."""
    path = Path(place)
    file = path / RANKING if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{where}: no {RANKING} at {shown(path)}; run python tools/rank.py first, or name a run of it")
    return file


@dataclass(frozen=True)
class SupernetScores:
    """The facts that a supernet's scores depend on, which tell whether those in a ranking are the same.

    Attributes:
        sha256: of its weights.
        calibration_images: see ``SearchConfig``; rankings from before it could be chosen have ``plain`` ones.
    """

    sha256: str
    calibration_images: str

    def label(self, ranking: Mapping[str, Any]) -> str | None:
        """The ranking's label of this supernet, if it holds the same scores of it."""
        if ranking.get("calibration_images", "plain") != self.calibration_images:
            return None
        digests = ranking.get("supernet_sha256", {})
        return next((name for name, digest in digests.items() if digest == self.sha256), None)


def learn_from(
    files: Sequence[Path],
    space: Space,
    data: tuple[str, DataConfig],
    scores: SupernetScores,
    flops: Callable[[Arch], int],
    without: Collection[Arch] = (),
    where: str = IN_SEARCH,
) -> AlonePredictor:
    """A predictor of stand-alone scores, fitted to the trained archs in ``files``.

    An arch that is in several of them counts once, with what the first one says. The supernet's scores are offered to
    the predictor where all files have those of the very supernet that is searched, calibrated alike.

    Args:
        data: name of the data set, and the configuration that it was opened by.
        scores: of the supernet that is searched.
        flops: of an arch at the space's input size, as those of the archs are counted that are predicted: a ranking may
            have counted its own at another ``cost_input_size``.
        without: archs whose trainings are not learnt from.
        where: what refusals begin with.

    Raises:
        UserError: a file is of other data, of another space, of trainings unlike another file's, or of an older
            version that did not keep archs; or there are too few archs.
    """
    trained: dict[object, TrainedArch] = {}
    for file in files:
        for each in _trained(file, space, data[0], scores, flops, where):
            trained.setdefault(each.arch, each)
    check_same_persons(files, data[1], where)
    check_trained_alike(files, where, one_size=not space.smaller_sizes)
    known = {_sized(arch, space) for arch in without}
    rows = [each for each in trained.values() if each.arch not in known]
    aside = len(trained) - len(rows)
    if any(each.supernet is None for each in rows):
        rows = [dataclasses.replace(each, supernet=None) for each in rows]
    try:
        return fit_alone(space, rows)
    except UserError as error:
        names = ", ".join(map(shown, files))
        left_out = f" ({aside} more are ranked here, and so left out)" if aside else ""
        raise UserError(f"{where} {names}: {error}{left_out}; rank more archs (--n), or name further runs") from None


@dataclass(frozen=True, eq=False)
class Lessons:
    """Predictions for the archs of this ranking from the trainings of others.

    Attributes:
        files: the rankings.
        predictor: fitted to their archs, less those of this ranking.
        supernet: label of the supernet whose scores it was offered.
    """

    files: Sequence[Path]
    predictor: AlonePredictor
    supernet: str

    @property
    def archs(self) -> int:
        """Number of archs that it is fitted to."""
        return len(self.predictor.scores)

    def told(self, ranked: Sequence[RankedArch]) -> list[RankedArch]:
        """The archs with a ranker more, ``OTHER_RANKINGS``: what the predictor expects of their own trainings."""
        archs, flops = [each.arch for each in ranked], [each.flops for each in ranked]
        expected = self.predictor.predict(archs, flops, [each.supernets[self.supernet] for each in ranked])
        return [
            dataclasses.replace(arch, supernets={**arch.supernets, OTHER_RANKINGS: float(own)})
            for arch, own in zip(ranked, expected, strict=True)
        ]


def _trained(
    file: Path, space: Space, dataset: str, scores: SupernetScores, flops: Callable[[Arch], int], where: str
) -> list[TrainedArch]:
    data = read_mapping(file, ANEW)
    if data.get("dataset") != dataset:
        raise UserError(f"{where} {shown(file)}: is of data {data.get('dataset')}, and this run of {dataset}")
    with expecting(file, ANEW):
        label = scores.label(data)
        return [_row(file, row, label, space, flops, where) for row in data.get("archs", ())]


def _row(
    file: Path, row: Mapping[str, Any], label: str | None, space: Space, flops: Callable[[Arch], int], where: str
) -> TrainedArch:
    """One of the file's archs; ``label`` is of the supernet whose scores are taken."""
    if not row.get("arch"):
        raise UserError(f"{where} {shown(file)}: does not say what {row.get('name')} is; {ANEW}")
    try:
        arch = _sized(arch_from_dict(row["arch"]), space)
        encode(space, arch)
    except UserError as error:
        raise UserError(f"{where} {shown(file)}: {row['name']}: {error}") from None
    supernet = float(row["supernets"][label]) if label else None
    return TrainedArch(arch, flops(arch), supernet, float(row[f"mean_{HOLDOUT}"]))


def _sized(arch: Arch, space: Space) -> Arch:
    """At the one input size of the space, or at its own where sizes are a choice."""
    return arch.at(None if space.smaller_sizes else space.input_size)
