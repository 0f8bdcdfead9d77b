"""Gains of a search, computed from trained networks, with their errors and as sentences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search.gain.statistics import Difference, Mean, as_difference, combine, difference, mean_of
from search.ranking.statistics import CONFIDENCE

FOUND, RANDOM, BASELINE, INHERITED = "searched", "random", "baseline", "supernet"
"""Kinds of networks, by the names that ``evaluation.pictures.style.KINDS`` colours."""

METRICS = ("mAP", "rank1")


@dataclass(frozen=True)
class Trained:
    """A network trained by one recipe with one or more seeds, scored on the test set.

    Attributes:
        name: unique among networks of one recipe.
        kind: ``FOUND``, ``RANDOM``, ``BASELINE``, or ``INHERITED`` for a supernet's unchanged weights.
        recipe: its name; empty for the config's.
        flops, parameters: of the inference network at its input size.
        seeds: of the trainings; ``mAP`` and ``rank1`` are in the same order, as fractions.
        train_set: the training data in words.
    """

    name: str
    kind: str
    recipe: str
    flops: int
    parameters: int
    seeds: tuple[int, ...]
    mAP: tuple[float, ...]
    rank1: tuple[float, ...]
    train_set: str = ""


@dataclass(frozen=True)
class Gain:
    """A difference between two groups of networks.

    Attributes:
        name: ``"search gain"``, ``"space gain"``, ``"recipe gain"``, ...
        first, second: the groups, in words.
        mAP, rank1: first minus second, as fractions.
    """

    name: str
    first: str
    second: str
    mAP: Difference
    rank1: Difference

    @property
    def sentence(self) -> str:
        """The gain in mAP in words and points."""
        points = f"{100 * abs(self.mAP.value):.1f} points of mAP {'more' if self.mAP.value >= 0 else 'less'}"
        return f"{self.name}: {self.first}: {points} than {self.second}; {_sureness(self.mAP)}"


def _sureness(found: Difference) -> str:
    if found.error is None:
        return "too few trainings to tell how certain that is"
    settled = "" if found.settled else ", which includes 0: not settled"
    return (
        f"{found.errors:.1f} standard errors of {100 * found.error:.1f}; "
        f"{100 * CONFIDENCE:.0f} % interval {100 * found.low:.1f} to {100 * found.high:.1f}{settled}"
    )


def gains(networks: Sequence[Trained]) -> list[Gain]:
    """For every recipe the search gain, the found archs over each baseline, and the space gain (random archs over the
    baseline); then the first recipe over each other one, for the same networks. All recipes need the same networks in
    the same order."""
    recipes = list(dict.fromkeys(network.recipe for network in networks))
    made: list[Gain] = []
    for recipe in recipes:
        found, random, baselines = (_of(networks, recipe, kind) for kind in (FOUND, RANDOM, BASELINE))
        made.append(compare("search gain", found, random))
        for base in baselines:
            made += [compare("found and baseline", found, [base]), compare("space gain", random, [base])]
    for other in recipes[1:]:
        for kind in (FOUND, RANDOM):
            made.append(compare("recipe gain", _of(networks, recipes[0], kind), _of(networks, other, kind)))
        pairs = zip(_of(networks, recipes[0], BASELINE), _of(networks, other, BASELINE), strict=True)
        made += [compare("recipe gain", [base], [twin]) for base, twin in pairs]
    return made


def ways(scratch: Trained, inherited: Trained, tuned: Trained) -> list[Gain]:
    """Gains of an arch from a supernet's weights, unchanged and trained further, over training from scratch.

    There is only one supernet, so the errors do not include the variation between supernets.
    """
    return [compare("inherited", [inherited], [scratch]), compare("inherited and trained on", [tuned], [scratch])]


def compare(name: str, first: Sequence[Trained], second: Sequence[Trained]) -> Gain:
    """The difference between two groups, each of one kind. Trainings of different networks count as independent, even
    with the same seed; random archs trained by two recipes are pairs."""
    paired = first[0].kind == second[0].kind == RANDOM
    each = (
        as_difference(mean_of([a - b for a, b in zip(_means(first, metric), _means(second, metric), strict=True)]))
        if paired
        else difference(group_mean(first, metric), group_mean(second, metric))
        for metric in METRICS
    )
    return Gain(name, _words(first), _words(second), *each)


def group_mean(networks: Sequence[Trained], metric: str) -> Mean:
    """The mean over networks of one kind, with its error.

    For found archs and baselines, the error is over their seeds only. Random archs stand for all archs of their FLOPs,
    so their error covers both archs and seeds. Networks that were not trained have no error.
    """
    if networks[0].kind == RANDOM:
        return mean_of(_means(networks, metric))
    if networks[0].kind == INHERITED:
        return Mean.known(statistics.fmean(_means(networks, metric)))
    own = [mean_of(getattr(network, metric)) for network in networks]
    return combine([1 / len(own)] * len(own), own)


def _means(networks: Sequence[Trained], metric: str) -> list[float]:
    return [statistics.fmean(getattr(network, metric)) for network in networks]


def _of(networks: Sequence[Trained], recipe: str, kind: str) -> list[Trained]:
    return [network for network in networks if (network.recipe, network.kind) == (recipe, kind)]


def _words(networks: Sequence[Trained]) -> str:
    count, first = len(networks), networks[0]
    words = " and ".join(network.name for network in networks)
    if first.kind == RANDOM:
        words = "a random arch of its FLOPs" if count == 1 else f"the mean of {count} random archs of its FLOPs"
    return f"{words} ({first.recipe})" if first.recipe else words
