"""What a search learns from archs that were trained alone, by the ``ranking.json`` that ``tools/rank.py`` leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError
from reid.files import read_json
from search.predictor.alone import FEWEST, AlonePredictor, TrainedArch, fit_alone
from search.ranking.analysis import HOLDOUT, RankedArch
from supernet.arch_forms import arch_from_dict
from supernet.genome import encode
from supernet.space import Space
from tools.jobs.opening import shown
from tools.jobs.rank_result import RANKING


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


def ranking_file(place: str) -> Path:
    """``place`` itself, or the ``ranking.json`` in the folder ``place``; raises UserError where there is none."""
    path = Path(place)
    file = path / RANKING if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"search.learn_from: no {RANKING} at {shown(path)}; run python tools/rank.py first, or name a run of it"
        )
    return file


def learn_from(files: Sequence[Path], space: Space, dataset: str, supernet_sha256: str) -> AlonePredictor:
    """A predictor of stand-alone scores, fitted to the trained archs in ``files``.

    An arch that is in several of them counts once, with what the first one says. The supernet's scores are offered to
    the predictor where all files have those of the very supernet that is searched.

    Raises:
        UserError: a file is of other data, of another space, or of an older version that did not keep archs; or there
            are too few archs.
    """
    trained: dict[object, TrainedArch] = {}
    for file in files:
        for each in _trained(file, space, dataset, supernet_sha256):
            trained.setdefault(each.arch, each)
    rows = list(trained.values())
    if any(each.supernet is None for each in rows):
        rows = [dataclasses.replace(each, supernet=None) for each in rows]
    try:
        return fit_alone(space, rows)
    except UserError as error:
        names = ", ".join(map(shown, files))
        raise UserError(f"search.learn_from {names}: {error}; rank more archs (--n), or name further runs") from None


def _trained(file: Path, space: Space, dataset: str, supernet_sha256: str) -> list[TrainedArch]:
    data = read_json(file)
    if data.get("dataset") != dataset:
        raise UserError(
            f"search.learn_from {shown(file)}: is of data {data.get('dataset')}, and this search of {dataset}"
        )
    digests = data.get("supernet_sha256", {})
    label = next((name for name, digest in digests.items() if digest == supernet_sha256), None)
    rows = []
    for row in data.get("archs", ()):
        if not row.get("arch"):
            raise UserError(
                f"search.learn_from {shown(file)}: does not say what {row.get('name')} is; write it anew by the same "
                "rank command with --resume"
            )
        arch = arch_from_dict(row["arch"]).at(None if space.smaller_sizes else space.input_size)
        try:
            encode(space, arch)
        except UserError as error:
            raise UserError(f"search.learn_from {shown(file)}: {row['name']}: {error}") from None
        supernet = row["supernets"][label] if label else None
        rows.append(TrainedArch(arch, row["flops"], supernet, row[f"mean_{HOLDOUT}"]))
    return rows
