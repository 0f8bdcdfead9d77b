"""Effects against objectives whose effects are known, in populations that would mislead plain averages."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import asdict, replace
from random import Random

import numpy as np
import pytest

from reid.errors import UserError
from search.costs import CostTable
from search.explanation import effects_table, explain
from search.explanation.caution import cautions, option_word
from search.explanation.design import Design, best_ridge, effects_of, make_design, solve
from search.history import Candidate
from search.predictor.choices import INACTIVE, read_choices
from search.predictor.ridge import LEVEL
from supernet.files import load_space
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import encode as genome_of
from supernet.space.genome import mutate, sample

SPACE = load_space("tiny")
TABLE = CostTable()
GENOMES = [sample(SPACE, Random(seed)) for seed in range(1500)]
POINTS = {
    "s2.b1.kernel": {3: -0.6, 5: 0.6},
    "s3.b2.expand": {3: 0.4, 6: -0.4},
    "s4.width": {48: -1.0, 64: 0.2, 96: 0.8},
}
"""Effects in points of mAP of the artificial objective."""


def _additive(arch) -> float:
    return 30 + sum(
        POINTS[name][value]
        for name, value in genome_of(SPACE, arch).items()
        if name in POINTS and not (name == "s3.b2.expand" and len(arch.stages[2].blocks) < 2)
    )


def _candidates(genomes, points=_additive, noise=0.0, space=SPACE):
    random = Random(5)
    found = []
    for trial, genome in enumerate(genomes):
        arch = decode(space, genome)
        score = (points(arch) + random.gauss(0, noise)) / 100
        found.append(Candidate(trial, "random", TABLE.flops(arch), 1, score, None, 0.0, genome, arch))
    return found


def _rows(explanation):
    return {(each.name, row.option): row for each in explanation.dimensions for row in each.options}


def test_the_log_of_a_long_search_takes_no_table_of_pairs():
    """A table of all pairs takes a minute from 2,000 candidates on, and grows with the third power."""
    candidates = _candidates(GENOMES)
    tracemalloc.start()
    try:
        explain(SPACE, candidates)
        assert tracemalloc.get_traced_memory()[1] < len(candidates) ** 2 * 8 / 2
    finally:
        tracemalloc.stop()


def test_known_effects_are_recovered_and_others_are_none():
    explanation = explain(SPACE, _candidates(GENOMES[:500]))
    for (name, option), row in _rows(explanation).items():
        assert row.effect == pytest.approx(POINTS.get(name, {}).get(option, 0.0), abs=0.01)
    assert [each.name for each in explanation.dimensions[:3]] == ["s4.width", "s2.b1.kernel", "s3.b2.expand"]
    assert explanation.r2 > 0.999
    # Variances 0.56, 0.36 and 0.16 with every option equally likely; the last is active in half of the archs.
    halves = np.mean([len(decode(SPACE, genome).stages[2].blocks) == 2 for genome in GENOMES[:500]])
    total = 0.56 + 0.36 + 0.16 * halves
    shares = [each.share for each in explanation.dimensions[:3]]
    assert shares == pytest.approx([0.56 / total, 0.36 / total, 0.16 * halves / total], abs=0.01)
    assert sum(each.share for each in explanation.dimensions) == pytest.approx(1)


@pytest.mark.parametrize("flops", [False, True])
def test_what_r2_is_of_was_seen_by_nothing_that_predicts_it(flops):
    """By plain normal equations: neither effects nor level nor ridge are told of the held-out part."""
    candidates = _candidates(GENOMES[:43], noise=1.0)
    choices = read_choices(SPACE, [each.arch for each in candidates])
    design = make_design(choices, np.array([each.flops for each in candidates], float) if flops else None)
    scores = 100 * np.array([each.score for each in candidates])
    table, few = np.hstack([design.fixed, design.columns]), design.fixed.shape[1]
    order = np.random.default_rng([7, 5]).permutation(43)
    missed, plain = [], []
    for fold in range(5):
        held = set(order[fold::5].tolist())
        rest = np.array([each for each in range(43) if each not in held])
        mean, penalty = scores[rest].mean(), np.full(table.shape[1], best_ridge(design.rows(rest), scores[rest]))
        penalty[:few] /= LEVEL
        normal = table[rest].T @ table[rest] + np.diag(penalty)
        found = np.linalg.solve(normal, table[rest].T @ (scores[rest] - mean))
        missed += [(scores[each] - mean - table[each] @ found) ** 2 for each in held]
        plain += [(scores[each] - mean) ** 2 for each in held]
    explanation = explain(SPACE, candidates, seed=7)
    assert (explanation.r2_with_flops if flops else explanation.r2) == pytest.approx(1 - sum(missed) / sum(plain))
    assert len(missed) == 43 and 0.05 < explanation.r2 < 0.95


def test_errors_are_the_spread_of_effects_over_searches():
    """True effects lie within two standard errors about as often as they should."""
    found = []
    for start in range(0, 1500, 300):
        explanation = explain(SPACE, _candidates(GENOMES[start : start + 300], noise=1.0), seed=start)
        found += [
            (row.effect - POINTS.get(name, {}).get(option, 0.0)) / row.error
            for (name, option), row in _rows(explanation).items()
        ]
    within = np.mean(np.abs(found) < 2)
    assert 0.85 < within <= 1.0
    assert 0.5 < np.sqrt(np.mean(np.square(found))) < 1.5


def _confounded(count):
    """Like a search under a limit: what has a wide last stage had to save on the kernels before it."""
    genomes = []
    for seed, genome in enumerate(GENOMES[:count]):
        random, wide = Random(f"c/{seed}"), genome["s4.width"] == 96
        genomes.append({**genome, "s2.b1.kernel": 3 if random.random() < (0.85 if wide else 0.15) else 5})
    return genomes


def test_choices_that_go_together_do_not_take_each_others_effect():
    only_width = lambda arch: 30 + POINTS["s4.width"][arch.stages[3].width]  # noqa: E731
    candidates = _candidates(_confounded(600), only_width, noise=0.3)
    scores = {kernel: [100 * c.score for c in candidates if c.genome["s2.b1.kernel"] == kernel] for kernel in (3, 5)}
    naive = np.mean(scores[3]) - np.mean(scores[5])
    row = _rows(explain(SPACE, candidates))["s2.b1.kernel", 3]
    assert naive > 0.7  # what plain marginal means would say
    assert abs(row.effect) < 3 * row.error < 0.15


def test_effects_at_equal_flops_leave_out_what_flops_bring():
    def bought(arch):
        return 30 + 4 * np.log2(TABLE.flops(arch) / 1e6)

    explanation = explain(SPACE, _candidates(GENOMES[:400], bought))
    assert explanation.points_per_doubling == pytest.approx(4, abs=0.05)
    rows = _rows(explanation)
    assert rows["s4.width", 96].effect > 0.3 and rows["last_width", 256].effect > 0.2
    assert max(abs(row.at_equal_flops) for row in rows.values()) < 0.02
    assert explanation.r2_with_flops > 0.999 > explanation.r2


@pytest.mark.parametrize("flops", [8_600_123, 10_000_000, 204_354_048])
def test_flops_have_no_effect_where_all_cost_the_same(flops):
    candidates = [replace(each, flops=flops) for each in _candidates(GENOMES[:47])]
    explanation = explain(SPACE, candidates)
    assert explanation.points_per_doubling is None
    assert all(row.effect == row.at_equal_flops for row in _rows(explanation).values())


def test_inactive_blocks_count_nowhere():
    candidates = _candidates(GENOMES[:120], noise=0.2)
    dims, random = SPACE.dimensions(), Random(9)
    redrawn = []
    for candidate in candidates:
        other = {**candidate.genome, **{name: random.choice(dims[name]) for name in dims if ".b2." in name}}
        same = decode(SPACE, other) == candidate.arch
        redrawn.append(replace(candidate, genome=other if same else candidate.genome))
    assert any(a.genome != b.genome for a, b in zip(candidates, redrawn, strict=True))
    explanation = explain(SPACE, candidates)
    assert explain(SPACE, redrawn) == explanation
    active = sum(len(candidate.arch.stages[2].blocks) == 2 for candidate in candidates)
    counts = [row.candidates for each in explanation.dimensions if each.name == "s3.b2.expand" for row in each.options]
    assert sum(counts) == active < 120


def test_coefficients_are_those_of_least_squares_where_nothing_is_shrunk():
    candidates = _candidates(GENOMES[:200], noise=0.5)
    design = make_design(read_choices(SPACE, [candidate.arch for candidate in candidates]))
    scores = 100 * np.array([candidate.score for candidate in candidates])
    scores -= scores.mean()
    table = np.hstack([design.fixed, design.columns])
    expected = table @ np.linalg.lstsq(table, scores, rcond=None)[0]
    coefficients, covariances = solve(design, scores, 1e-9)
    # With next to no ridge the system's condition is some 1e10: processors differ by some 1e-6 of values around 1.
    np.testing.assert_allclose(table @ coefficients, expected, atol=1e-5)
    # Textbook: the variance of a fitted value is noise * h, h the diagonal of the projection on the columns.
    rank = np.linalg.matrix_rank(table)
    noise = np.sum((scores - expected) ** 2) / (200 - rank)
    hat = np.diag(table @ np.linalg.pinv(table))
    np.testing.assert_allclose(np.einsum("ij,jk,ik->i", table, covariances, table), noise * hat, rtol=1e-3)


def test_level_and_slope_of_flops_are_hardly_shrunken_however_effects_are():
    random = np.random.default_rng(3)
    fixed, columns = np.stack([np.ones(60), random.standard_normal(60)], axis=1), random.standard_normal((60, 1))
    scores = fixed @ [2.0, 3.0] + 4.0 * columns[:, 0]
    design = Design(fixed, columns, np.array([0]), np.array([0]), 1.0)
    level, slope, effect = solve(design, scores, 60.0)[0]
    assert effect < 3 and (level, slope) == (pytest.approx(2, abs=0.5), pytest.approx(3, abs=0.5))


def test_errors_of_shrunken_effects_cover_what_the_data_do_not_say():
    """Effects are drawn as the ridge supposes, more of them than there are candidates."""
    random = np.random.default_rng(4)
    candidates = _candidates(GENOMES[:20])
    design = make_design(read_choices(SPACE, [candidate.arch for candidate in candidates]))
    missed, errors = [], []
    for _ in range(200):
        true = random.normal(size=design.columns.shape[1])
        scores = design.columns @ true + random.normal(0, 0.5, size=20)
        assert len(true) > len(candidates)
        found, error = effects_of(design, *solve(design, scores, 0.25))
        wanted, _ = effects_of(design, np.append(0.0, true), np.zeros((len(true) + 1,) * 2))
        missed.append(found - wanted)
        errors.append(error)
    ratio = np.sqrt(np.mean(np.square(missed)) / np.mean(np.square(errors)))
    assert ratio == pytest.approx(1, abs=0.15)


def test_an_option_of_few_candidates_does_not_rank_its_choice():
    genomes = [{**genome, "last_width": 128 if trial < 3 else 256} for trial, genome in enumerate(GENOMES[:100])]

    def points(arch):
        return _additive(arch) + 5 * (arch.last_width == 128)

    explanation = explain(SPACE, _candidates(genomes, points))
    last = next(each for each in explanation.dimensions if each.name == "last_width")
    assert last.options[0].candidates == 3 and last.options[0].effect > 1.5
    assert last.share == last.spread == 0 and explanation.dimensions[0].name == "s4.width"


def test_an_explanation_survives_json_and_is_a_function_of_its_arguments():
    candidates = _candidates(GENOMES[:40], noise=0.5)
    explanation = explain(SPACE, candidates, seed=2)
    written = asdict(explanation)
    assert json.loads(json.dumps(written, allow_nan=False))["dimensions"][0]["share"] == explanation.dimensions[0].share
    failed = replace(candidates[0], score=None, trial=40)
    assert explain(SPACE, [*candidates, failed], seed=2) == explanation


def test_choices_of_every_kind_are_explained():
    stages = (StageSpace(2, (8, 12), (1, 2), (3, 5), (1, 3), se=(False, True), ibn=(False, True)),)
    space = Space("kinds", (32, 32), (8,), stages, (0,), last_strides=(2, 1), smaller_sizes=((32, 16),))
    genomes = [sample(space, Random(seed)) for seed in range(300)]
    candidates = [
        Candidate(
            trial, "random", 1000 + trial, 1, 0.3 + 0.02 * decode(space, genome).stages[0].se, None, 0.0, genome, arch
        )
        for trial, genome in enumerate(genomes)
        for arch in [decode(space, genome)]
    ]
    explanation = explain(space, candidates)
    rows = _rows(explanation)
    assert explanation.dimensions[0].name == "s1.se" and rows["s1.se", True].effect == pytest.approx(1, abs=0.01)
    bare = sum(not any(block.expand > 1 for block in each.arch.stages[0].blocks) for each in candidates)
    assert rows["s1.ibn", True].candidates + rows["s1.ibn", False].candidates == 300 - bare < 300
    table = effects_table(explanation, top=1)
    assert "s1.se" in table and " yes " in table and "further choices" in table


def test_an_option_that_none_had_has_no_effect():
    genomes = [{**genome, "stem": 8, "s4.width": min(genome["s4.width"], 64)} for genome in GENOMES[:60]]
    explanation = explain(SPACE, _candidates(genomes))
    rows = _rows(explanation)
    assert rows["stem", 8].effect is None and rows["stem", 16].candidates == 0  # nothing to compare
    assert rows["s4.width", 96].effect is None
    assert rows["s4.width", 64].effect == pytest.approx(0.6, abs=0.05)  # against the mean of 48 and 64
    assert " - " in effects_table(explanation)


def test_cautions_are_given_where_they_are_due():
    space = load_space("mlr-210m")
    genome, random = sample(space, Random(0)), Random(1)
    evolved = [genome] + [mutate(space, genome, 0.03, random) for _ in range(29)]
    candidates = _candidates(evolved, lambda arch: random.gauss(30, 1), space=space)
    notes = " | ".join(explain(space, candidates).notes)
    for words in ("the rest is chance", "30 candidates for", "fewer than 5 candidates", "one option in at least 90 %"):
        assert words in notes
    plenty = {"stem": {8: 40, 16: 60}}
    assert cautions(100, plenty, 0.9, np.array([1e6, 2e6])) == ()
    assert "1.0M to 1.1M" in cautions(100, plenty, 0.9, np.array([1e6, 1.1e6]))[0]


def test_cautions_begin_where_they_should():
    plenty, flops = {"stem": {8: 40, 16: 60}}, np.array([1e6, 2e6])
    for r2, words in ((-0.1, "predict nothing of"), (0.0, "predict nothing of"), (0.2, "predict 20 % of")):
        assert words in cautions(100, plenty, r2, flops)[0]
    assert cautions(100, plenty, 0.3, flops) == ()
    # An option that none had is no effect, nor is the first of a choice: 1 + 2 are left.
    counts = {"stem": {8: 3, 16: 2, 24: 0}, "s1.width": {4: 2, 6: 2, 8: 1}}
    assert cautions(5, counts, 0.9, flops)[0].startswith("5 candidates for 3 effects")
    assert not any("effects:" in note for note in cautions(6, counts, 0.9, flops))
    # Of the 20 archs in which the kernel is active nearly all have one.
    few, firm = cautions(100, plenty | {"s3.b2.kernel": {3: 19, 5: 1, 7: 0}}, 0.9, flops)
    assert few == "2 of 5 options had fewer than 5 candidates: s3.b2.kernel=5 (1), s3.b2.kernel=7 (0)"
    assert firm == "1 of 2 choices have one option in at least 90 % of the candidates: s3.b2.kernel=3"
    few, firm = cautions(100, plenty | {"s2.se": {False: 97, True: 3}}, 0.9, flops)
    assert few.endswith(": s2.se=yes (3)") and firm.endswith(": s2.se=no"), "as in the table"


def test_columns_of_a_design_are_what_it_says():
    """Within a choice they sum to 0, all are 0 where it is inactive, and their mean squared length is 1."""
    choices = read_choices(SPACE, [candidate.arch for candidate in _candidates(GENOMES[:40])])
    design = make_design(choices)
    for index in range(len(choices.names)):
        own = design.columns[:, design.owner == index]
        np.testing.assert_allclose(own.sum(1), 0, atol=1e-12)
        assert not own[choices.indices[:, index] == INACTIVE].any()
    assert (choices.indices == INACTIVE).any()
    spread = design.columns - design.columns.mean(0)
    assert np.mean((spread**2).sum(1)) == pytest.approx(1)


def test_too_few_candidates_are_refused_and_equal_scores_are_not():
    with pytest.raises(UserError, match="too few to learn from"):
        explain(SPACE, _candidates(GENOMES[:10]))
    explanation = explain(SPACE, _candidates(GENOMES[:30], lambda arch: 30.0))
    assert explanation.r2 == 0 and max(each.spread for each in explanation.dimensions) < 1e-9


@pytest.mark.parametrize(("option", "word"), [(True, "yes"), (False, "no"), (1, "1"), ("h-swish", "h-swish")])
def test_options_are_written_as_words(option, word):
    assert option_word(option) == word
