"""``tools/search.py --learn-from``: a search by what archs that were trained alone have shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest

from reid.config import config_to_dict
from reid.engine.recipe import Recipe
from reid.errors import UserError
from search.costs import CostTable
from search.history import read_candidates
from search.predictor.alone import TrainedArch, fit_alone
from search.ranking.analysis import LEARNT, TEST, Alone, RankedArch, analyse
from supernet.files import arch_to_dict, load_space
from supernet.space import decode
from supernet.space.genome import largest, sample
from tools.jobs.experiment import DataConfig
from tools.jobs.proofs.learning import Lessons, SupernetScores, learn_from, with_learnt
from tools.jobs.proofs.rank_result import write_ranking
from tools.jobs.runs.provenance import sha256

ROOT = Path(__file__).resolve().parents[3]
SPACE = load_space("tiny").at((64, 32))
TABLE = CostTable()
DATA = ("synthetic", DataConfig(name="synthetic"))
SPARE = largest(SPACE)


def _worth(arch) -> float:
    return 0.5 - 0.05 * len(arch.stages[-1].blocks) + 0.004 * arch.stem


def _ranked(count: int = 14) -> list[RankedArch]:
    random, ranked = Random(0), []
    for number in range(count):
        arch = decode(SPACE, sample(SPACE, random))
        worth = _worth(arch) + random.gauss(0, 0.002)
        alone = (Alone(0, worth - 0.1, worth, f"runs/W{number:02d}-s0"),)
        ranked.append(RankedArch(f"W{number:02d}", TABLE.flops(arch), 1, {"s": random.random()}, alone, arch=arch))
    return ranked


@pytest.fixture
def rank_run(tmp_path, supernet_run):
    digest = sha256(supernet_run / "supernet.safetensors")
    about = {"dataset": "synthetic", "supernet_sha256": {"s": digest}, "calibration_images": "augmented"}
    write_ranking(tmp_path / "rank", with_learnt(SPACE, _ranked()), [], 0, about)
    return tmp_path / "rank"


def _changed(rank_run, **values) -> None:
    file = rank_run / "ranking.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_candidates_get_the_score_that_trainings_lead_to(call, supernet_run, rank_run, tmp_path):
    options = ("--supernet", supernet_run, "--trials", 30, "--set", "search.population=10")
    done = call("search", "--out", tmp_path / "search", *options, "--learn-from", rank_run)
    assert done.code == 0, done.err
    rows = [TrainedArch(each.arch, each.flops, None, each.truth("holdout")) for each in _ranked()]
    predictor = fit_alone(SPACE, rows)
    candidates = read_candidates(tmp_path / "search/candidates.jsonl")
    for candidate in candidates:
        expected = predictor.predict([candidate.arch], [candidate.flops])[0]
        assert candidate.score == pytest.approx(expected, abs=1e-3) and candidate.rank1 is None
    best = max(candidates, key=lambda each: each.score)
    assert _worth(best.arch) == max(_worth(each.arch) for each in candidates)
    assert "fitted to 14 archs that were trained alone" in done.out
    assert re.search(r"tau 0\.\d\d \(-?0\.\d\d to \d\.\d\d\) with the score of each when it is left out", done.out)
    assert "predicted stand-alone mAP" in done.out
    page = (tmp_path / "search/report.html").read_text()
    assert f"report: {tmp_path}/search/report.html" in done.out
    drawn = page.count("data:image/png;base64,")
    assert drawn == 2 + len(list((tmp_path / "search/archs").glob("*.yaml"))) > 2
    assert "30 candidates with a score, of 30 tried" in page and f"{100 * best.score:.1f} %" in page
    assert "predictions of each arch&#x27;s stand-alone result" in page and "population: 10" in page
    origin = json.loads((tmp_path / "search/search.json").read_text())["run_origin"]
    assert origin["learnt_from_sha256"] == [sha256(rank_run / "ranking.json")]
    written = call("search", "--out", tmp_path / "search", "--write", candidates[3].trial)
    costs = f"{candidates[3].flops / 1e6:.1f}M FLOPs, {candidates[3].parameters / 1e6:.3f}M parameters"
    assert f"-T3: {costs}, predicted stand-alone mAP" in written.out


def test_scores_of_a_supernet_are_those_that_were_calibrated_alike():
    ranking = {"supernet_sha256": {"s": "1", "t": "2"}, "calibration_images": "augmented"}
    assert SupernetScores("2", "augmented").label(ranking) == "t"
    assert (
        SupernetScores("2", "plain").label(ranking) is None and SupernetScores("3", "augmented").label(ranking) is None
    )
    before = {"supernet_sha256": {"s": "1"}}  # written when there was no choice
    assert SupernetScores("1", "plain").label(before) == "s" and SupernetScores("1", "augmented").label(before) is None


def test_what_was_learnt_from_may_not_change_under_a_search(call, refused, supernet_run, rank_run, tmp_path):
    search = ("search", "--supernet", supernet_run, "--out", tmp_path / "search", "--learn-from", rank_run)
    assert call(*search).code == 0
    _changed(rank_run, seed=1)
    refused(call(*search, "--resume", "--trials", 8), "was started with another origin")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dataset": "market1501"}, "is of data set market1501, but this run is on synthetic"),
        ({"archs": [{"name": "W00"}]}, "does not say what W00 is; write it again"),
        ({"archs": []}, "0 trained archs are too few to learn from"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(call, refused, supernet_run, rank_run, tmp_path, values, message):
    _changed(rank_run, **values)
    done = call("search", "--supernet", supernet_run, "--out", tmp_path / "search", "--learn-from", rank_run)
    refused(done, f"search.learn_from .*{message}")


CONFIG = {
    "data": config_to_dict(DataConfig(name="synthetic")),
    "retrain": config_to_dict(Recipe()),
}


@pytest.fixture
def learn(tmp_path):
    """Learns from two rankings with these configurations, of eight archs each."""
    half = _ranked(16)
    rows = [
        {"name": each.name, "arch": arch_to_dict(each.arch), "flops": each.flops, "mean_holdout": each.truth("holdout")}
        for each in half
    ]

    def run(*configs: dict | None, **digests: str):
        teachers = {f"{name}.json": {"teacher_sha256": digest} for name, digest in digests.items()}
        files = [tmp_path / name for name in ("first.json", "second.json")]
        for number, (file, config) in enumerate(zip(files, configs, strict=True)):
            kept = {} if config is None else {"config": config, **teachers.get(file.name, {})}
            archs = rows[8 * number : 8 * number + 8]
            file.write_text(json.dumps({"dataset": "synthetic", "archs": archs, **kept}))
        return learn_from(files, SPACE, DATA, SupernetScores("0", "plain"), TABLE.flops)

    return run


def _config(part: str, **values) -> dict:
    return CONFIG | {part: CONFIG[part] | values}


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (_config("retrain", epochs=7), "retrain.epochs"),
        (_config("retrain", optimizer={"lr": 0.5}), "retrain.optimizer"),
        (_config("data", holdout_identities=7), "data.holdout_identities"),
    ],
)
def test_rankings_of_other_trainings_are_not_learnt_from_together(learn, other, key):
    message = (
        f"search.learn_from .*second.json: .* trained with other settings than those of .*first.json: {key} differs"
    )
    with pytest.raises(UserError, match=message):
        learn(CONFIG, other)


def test_rankings_on_other_persons_of_that_name_are_not_learnt_from(learn):
    """All synthetic sets are called alike."""
    other = _config("data", synthetic={"seed": 7})
    message = r"first.json: is of another synthetic set \(data.synthetic.seed: 7 there, 0 here\); name one of this set"
    with pytest.raises(UserError, match=message):
        learn(other, other)


@pytest.mark.parametrize(
    "other",
    [
        CONFIG,
        None,  # written before it was kept
        _config("retrain", compile=True, evaluate_every=3, source="elsewhere"),
        _config("data", name="auto"),
        {"data": {"name": "synthetic"}, "retrain": {}},  # as from before most keys came up
    ],
)
def test_rankings_of_trainings_that_end_alike_are(learn, other):
    assert len(learn(CONFIG, other).scores) == len(learn(other, CONFIG).scores) == 16


def _taught(teacher: str) -> dict:
    return _config("retrain", losses={"distillation": {"teacher": teacher, "similarity": 1.0}})


def test_rankings_of_other_teachers_are_not_learnt_from_together(learn):
    """A teacher is known by its weights, wherever they lie: it may have been trained again, or moved."""
    assert len(learn(_taught("t"), _taught("u"), first="a", second="a").scores) == 16
    for digests in ({}, {"second": "a"}):  # written before it was kept
        assert len(learn(_taught("t"), _taught("t"), **digests).scores) == 16
    for pair, digests, key in (
        ((_taught("t"), _taught("t")), {"first": "a", "second": "b"}, "teacher_sha256"),
        ((_taught("t"), _taught("u")), {"first": "a"}, "retrain.losses.distillation.teacher"),
        ((_taught("t"), CONFIG), {"first": "a"}, "retrain.losses"),
    ):
        with pytest.raises(UserError, match=f"second.json: its archs were trained with other settings .*: {key}"):
            learn(*pair, **digests)


def test_archs_that_were_trained_at_other_sizes_are_not_learnt_from_together(learn, tmp_path):
    learn(CONFIG, None)
    file = tmp_path / "second.json"
    at_another = file.read_text().replace('"input_size": [64, 32]', '"input_size": [128, 64]')
    file.write_text(at_another)
    files = [tmp_path / "first.json", file]
    with pytest.raises(UserError, match="second.json: .* those of .*first.json: input_size differs; name"):
        learn_from(files, SPACE, DATA, SupernetScores("0", "plain"), TABLE.flops)


def test_archs_that_are_ranked_here_are_said_where_too_few_are_left(rank_run):
    own = [each.arch for each in _ranked()[:7]]
    with pytest.raises(UserError, match=r"7 trained archs are too few .*needed \(7 more are ranked here"):
        learn_from([rank_run / "ranking.json"], SPACE, DATA, SupernetScores("0", "plain"), TABLE.flops, own)


def test_flops_are_counted_as_those_of_the_candidates(rank_run):
    """The ranking counted them at another size: its own figures beside the candidates' would move every score."""

    def expected():
        rows = [rank_run / "ranking.json"]
        fit = learn_from(rows, SPACE, DATA, SupernetScores("another", "augmented"), TABLE.flops)
        return fit.predict([SPARE], [TABLE.flops(SPARE)])

    before = expected()
    archs = json.loads((rank_run / "ranking.json").read_text())["archs"]
    _changed(rank_run, archs=[{**row, "flops": 4 * row["flops"] + 10**6} for row in archs])
    np.testing.assert_array_equal(expected(), before)


def test_a_ranking_keeps_what_its_archs_were_trained_by(tmp_path):
    write_ranking(tmp_path, _ranked(4), [], 0, {"dataset": "synthetic", "supernet_sha256": {"s": "0"}}, config=CONFIG)
    assert json.loads((tmp_path / "ranking.json").read_text())["config"] == json.loads(json.dumps(CONFIG))


def test_rankings_that_are_published_can_be_learnt_from_together():
    files = [ROOT / f"docs/results/ranking/{name}.json" for name in ("ranking", "ranking-9M", "ranking-9M-fresh")]
    space = load_space("tiny").at((80, 40))
    assert len(learn_from(files, space, DATA, SupernetScores("0", "plain"), TABLE.flops).scores) == 44


def test_archs_of_another_space_and_missing_files_are_refused(call, refused, supernet_run, rank_run, tmp_path):
    arch = arch_to_dict(decode(load_space("mlr-210m"), sample(load_space("mlr-210m"), Random(0))))
    row = {"name": "W00", "arch": arch, "flops": 1, "supernets": {"s": 0.5}, "mean_holdout": 0.5}
    _changed(rank_run, archs=[row])
    search = ("search", "--supernet", supernet_run, "--out", tmp_path / "search")
    refused(call(*search, "--learn-from", rank_run), "W00: the arch is not in space tiny")
    refused(call(*search, "--learn-from", tmp_path / "none"), "no ranking.json at .*run python tools/rank.py first")


def test_a_ranking_tells_how_well_other_archs_trainings_order():
    ranked = with_learnt(SPACE, _ranked(24))
    rows = [TrainedArch(each.arch, each.flops, each.supernets["s"], each.truth("holdout")) for each in ranked]
    np.testing.assert_allclose([each.learnt for each in ranked], fit_alone(SPACE, rows).left_out)
    verdict = analyse(ranked, TEST)
    assert verdict.rankers[LEARNT].tau.value > 0.5 > 0.3 > verdict.rankers["s"].tau.value
    assert all(each.learnt is None for each in with_learnt(SPACE, _ranked(8)))


def test_other_rankings_trainings_rank_archs_that_are_none_of_theirs(rank_run):
    """Of the ten archs two are in the other ranking too: their trainings there are not learnt from."""
    before, digest = _ranked(), SupernetScores("another supernet", "augmented")
    random = Random(5)
    new = [decode(SPACE, sample(SPACE, random)) for _ in range(8)]
    fresh = [RankedArch(f"N{n}", TABLE.flops(arch), 1, {"s": 0.5}, (), arch=arch) for n, arch in enumerate(new)]
    ranked = [*fresh, *before[:2]]
    archs = {each.arch for each in ranked}
    predictor = learn_from([rank_run / "ranking.json"], SPACE, DATA, digest, TABLE.flops, archs, "--learn-from")
    lessons = Lessons([rank_run / "ranking.json"], predictor, "s")
    rows = [TrainedArch(each.arch, each.flops, None, each.truth("holdout")) for each in before[2:]]
    expected = fit_alone(SPACE, rows).predict([each.arch for each in ranked], [each.flops for each in ranked])
    assert lessons.archs == 12
    told = [each.supernets["other rankings' trainings"] for each in lessons.told(ranked)]
    np.testing.assert_allclose(told, expected)
    assert np.corrcoef(told[:8], [_worth(arch) for arch in new])[0, 1] > 0.5
