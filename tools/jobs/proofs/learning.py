"""Predictions learnt from stand-alone trainings that ``tools/rank.py`` recorded in ``ranking.json``, for use as a
search's scores, or as a ranker that ``tools/rank.py`` compares with other trainings."""

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
    """The archs, each with its score predicted from the trainings of all others; unchanged if there are too few.

    The scores of the first supernet are offered to the predictor.
    """
    if len(ranked) <= FEWEST:
        return list(ranked)
    label = next(iter(ranked[0].supernets))
    trained = [TrainedArch(each.arch, each.flops, each.supernets[label], each.truth(HOLDOUT)) for each in ranked]
    predicted = fit_alone(space, trained).left_out
    return [dataclasses.replace(arch, learnt=float(own)) for arch, own in zip(ranked, predicted, strict=True)]


IN_SEARCH, IN_RANK = "search.learn_from", "--learn-from"
"""How the user named the rankings; error messages begin with it."""


def ranking_file(place: str | Path, where: str = IN_SEARCH) -> Path:
    """``place`` itself, or the ``ranking.json`` in the folder ``place``; raises UserError if there is none."""
    path = Path(place)
    file = path / RANKING if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{where}: there is no {RANKING} at {shown(path)}; run python tools/rank.py first, or name a run of it"
        )
    return file


@dataclass(frozen=True)
class SupernetScores:
    """What a supernet's scores depend on, to tell whether a ranking holds the same scores.

    Attributes:
        sha256: of the supernet's weights.
        calibration_images: see ``SearchConfig``; older rankings, from before this was a setting, used ``plain`` ones.
    """

    sha256: str
    calibration_images: str

    def label(self, ranking: Mapping[str, Any]) -> str | None:
        """The label of this supernet in a ranking that has the same scores of it; ``None`` otherwise."""
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

    An arch that is in several files counts once, with the first file's values. The supernet's scores are offered to the
    predictor if every arch has one by exactly the searched supernet, calibrated alike.

    Args:
        data: name of the data set, and its configuration.
        scores: identifies the scores of the searched supernet.
        flops: counts an arch's FLOPs as for the archs to predict; a ranking may have counted at another
            ``cost_input_size``.
        without: archs whose trainings are not used.
        where: beginning of error messages.

    Raises:
        UserError: a file is of other data, of another space, of trainings unlike another file's, or from an older
            version that did not record archs; or there are too few archs.
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
    """Predictions for a ranking's archs, learnt from other rankings.

    Attributes:
        files: the other rankings.
        predictor: fitted to their archs, except those that are also in this ranking.
        supernet: label of the supernet whose scores are offered to the predictor.
    """

    files: Sequence[Path]
    predictor: AlonePredictor
    supernet: str

    @property
    def archs(self) -> int:
        """Number of archs that the predictor is fitted to."""
        return len(self.predictor.scores)

    def told(self, ranked: Sequence[RankedArch]) -> list[RankedArch]:
        """The archs with one more ranker, ``OTHER_RANKINGS``: the predicted scores of their own trainings."""
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
        raise UserError(
            f"{where} {shown(file)}: is of data set {data.get('dataset')}, but this run is on {dataset}; name a "
            f"ranking on {dataset}"
        )
    with expecting(file, ANEW):
        label = scores.label(data)
        return [_row(file, row, label, space, flops, where) for row in data.get("archs", ())]


def _row(
    file: Path, row: Mapping[str, Any], label: str | None, space: Space, flops: Callable[[Arch], int], where: str
) -> TrainedArch:
    """One of the file's archs; ``label`` names the supernet whose score is used."""
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
    """The arch at the space's input size, or at its own if the space has several."""
    return arch.at(None if space.smaller_sizes else space.input_size)
