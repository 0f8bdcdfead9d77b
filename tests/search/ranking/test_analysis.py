"""From archs to figures, and figures to text."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from search.ranking.analysis import (
    AND_FLOPS,
    FLOPS,
    HOLDOUT,
    PARAMETERS,
    SAME_HOLDOUT,
    TEST,
    Alone,
    RankedArch,
    analyse,
)
from search.ranking.table import arch_table, verdict_table

RANDOM = np.random.default_rng(0)


def _arch(number: int, seeds: int = 2) -> RankedArch:
    truth = 0.3 + 0.01 * number
    noise = RANDOM.normal(0, 0.02, (seeds, 2))
    alone = tuple(
        Alone(seed, truth + on_test, truth + 0.1 + on_held, f"run-{seed}")
        for seed, (on_test, on_held) in enumerate(noise)
    )
    supernets = {"good": truth + RANDOM.normal(0, 0.01), "bad": RANDOM.uniform()}
    return RankedArch(f"W{number:02d}", 10**6 * (number // 3 + 1), 1000 - number, supernets, alone)


ARCHS = [_arch(number) for number in range(20)]


def test_every_ranker_against_each_ground():
    for ground in (TEST, HOLDOUT):
        verdict = analyse(ARCHS, ground, seed=3)
        own = [SAME_HOLDOUT] if ground == TEST else []  # against itself it says nothing
        assert list(verdict.rankers) == ["good", "bad", f"good{AND_FLOPS}", f"bad{AND_FLOPS}", FLOPS, PARAMETERS, *own]
        truth = [np.mean([getattr(each, ground) for each in arch.alone]) for arch in ARCHS]
        rankers = {
            "good": [arch.supernets["good"] for arch in ARCHS],
            FLOPS: [arch.flops for arch in ARCHS],
            PARAMETERS: [arch.parameters for arch in ARCHS],
        }
        rankers[f"good{AND_FLOPS}"] = sum(stats.rankdata(rankers[label]) for label in ("good", FLOPS))
        for label, scores in rankers.items():
            assert verdict.rankers[label].tau.value == pytest.approx(stats.kendalltau(scores, truth).statistic)
            assert verdict.rankers[label].rho.value == pytest.approx(stats.spearmanr(scores, truth).statistic)
        good, flops = verdict.rankers["good"], verdict.rankers[FLOPS]
        assert flops.tau_given_flops is None and flops.tau_over_flops is None
        assert good.tau_over_flops.value == pytest.approx(good.tau.value - flops.tau.value)
        bad = verdict.rankers["bad"]
        assert bad.tau_over_first.value == pytest.approx(bad.tau.value - good.tau.value) and good.tau_over_first is None
        assert verdict.k == 5
        best = np.argsort([-arch.supernets["good"] for arch in ARCHS])
        assert good.precision == len(set(best[:5]) & set(np.argsort(-np.array(truth))[:5])) / 5
        assert good.regret == pytest.approx(max(truth) - truth[best[0]])
        assert good.tau.value > verdict.rankers["bad"].tau.value
        assert verdict.ceiling.noise == pytest.approx(0.02, rel=0.5)


def test_archs_with_fewer_seeds():
    """What a ranking looks like while trainings are still running."""
    once = [_arch(number, seeds=1 + (number < 2)) for number in range(8)]
    verdict = analyse(once, TEST)
    assert verdict.k == 2 and verdict.ceiling.tau_of_seeds is None and 0 <= verdict.ceiling.tau <= 1
    assert analyse([_arch(number, seeds=1) for number in range(8)], TEST).ceiling is None


def test_tables_say_the_figures():
    verdict = analyse(ARCHS, TEST)
    text, archs = verdict_table(verdict, TEST, ARCHS), arch_table(ARCHS)
    tau = verdict.rankers["good"].tau
    row = next(line for line in text.splitlines() if line.strip().startswith("good "))
    assert f"{tau.value:.2f} ({tau.low:.2f} to {tau.high:.2f})" in row
    assert f"{100 * verdict.rankers['good'].regret:.1f} points" in row and "best 5" in text
    assert f"{verdict.ceiling.tau:.2f}" in next(line for line in text.splitlines() if "a perfect ranker" in line)
    assert "25 %" in next(line for line in text.splitlines() if "chance" in line)
    assert "on the test set, 20 archs, 95 % intervals" in text
    assert len(archs.splitlines()) == 21 and archs.splitlines()[1].split()[0] == "W00"
    bad = verdict.rankers["bad"]
    assert f"tau of bad: {bad.tau_over_flops.value:.2f} (" in text
    assert f"{bad.tau_over_first.value:.2f} ({bad.tau_over_first.low:.2f} to " in text and ") over good" in text
    with_flops = verdict.rankers[f"good{AND_FLOPS}"]
    assert f"tau of good{AND_FLOPS}: {with_flops.tau_over_flops.value:.2f} (" in text
    once = [_arch(number, seeds=1) for number in range(8)]
    assert "give --repeats 2" in verdict_table(analyse(once, TEST), TEST, once)
