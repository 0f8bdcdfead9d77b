"""A candidate's score against the same steps taken by hand."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import torch

from evaluation.features import prepared
from evaluation.features.extraction import evaluate_network
from reid.data.augment import AugmentConfig, augment
from reid.data.prepare import prepare, resize_prepared
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate
from reid.engine.seeds import step_seed
from reid.errors import UserError
from search.config import SearchConfig
from search.scoring.evaluator import SupernetEvaluator, calibration_batches, pick_precision
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample
from supernet.supernet import Supernet

SIZE = (32, 16)
CONFIG = SearchConfig(calibration_batches=2, calibration_batch_size=6, eval_batch_size=7)
AUGMENT = AugmentConfig(pad=4)


def _images(count: int, pids: range, seed: int) -> ImageSet:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, *SIZE, 3), generator=random, dtype=torch.uint8)
    pids = torch.tensor([pids[number % len(pids)] for number in range(count)])
    return ImageSet(pixels, pids, torch.arange(count) % 5)


@pytest.fixture
def sets():
    return _images(20, range(1, 6), 0), _images(8, range(10, 14), 1), _images(24, range(10, 14), 2)


@pytest.fixture
def supernet():
    torch.manual_seed(0)
    return Supernet(load_space("tiny").at(SIZE))


def test_score_is_that_of_the_extracted_calibrated_network(supernet, sets):
    train, query, gallery = sets
    evaluate = SupernetEvaluator(supernet, train, query, gallery, "cpu", CONFIG, seed=5, augmentation=AUGMENT)
    chosen = torch.randperm(20, generator=torch.Generator().manual_seed(5))[:12]
    batches = [_augmented(train.images[part], 5, number) for number, part in enumerate(chosen.split(6))]
    scores = set()
    for seed in range(4):
        arch = decode(supernet.space, sample(supernet.space, Random(seed)))
        expected = evaluate_network(calibrate(supernet.extract(arch), batches), query, gallery, SIZE, "cpu")
        got = evaluate(arch)
        assert got["default"] == pytest.approx(expected.mAP, abs=1e-6)
        assert got["rank1"] == pytest.approx(expected.rank1, abs=1e-6)
        assert evaluate(arch) == got
        scores.add(got["default"])
    assert len(scores) == 4


def _augmented(pixels, seed: int, number: int):
    return augment(pixels, SIZE, AUGMENT, torch.Generator().manual_seed(step_seed(seed, 0, number)))


def test_calibration_images_are_those_of_the_training_or_plain(supernet, sets):
    train, config = sets[0], replace(CONFIG, calibration_images="plain")
    drawn = torch.randperm(20, generator=torch.Generator().manual_seed(5))[:12].split(6)
    plain = calibration_batches(train, SIZE, "cpu", config, AUGMENT, seed=5)
    for batch, part in zip(plain, drawn, strict=True):
        assert torch.equal(batch, prepare(train.images[part.sort().values], SIZE))
    augmented = calibration_batches(train, SIZE, "cpu", CONFIG, AUGMENT, seed=5)
    for number, (batch, part) in enumerate(zip(augmented, drawn, strict=True)):
        assert torch.equal(batch, _augmented(train.images[part], 5, number))
    still = AugmentConfig(flip=0, pad=0, erase=0)
    for batch, part in zip(calibration_batches(train, SIZE, "cpu", CONFIG, still, seed=5), drawn, strict=True):
        assert torch.equal(batch, prepare(train.images[part], SIZE))
    # An arch that sees smaller images than the space's largest is shown those that were augmented at that size.
    half = (SIZE[0] // 2, SIZE[1] // 2)
    small = calibration_batches(train, half, "cpu", CONFIG, AUGMENT, seed=5, trained_at=SIZE)
    for whole, batch in zip(augmented, small, strict=True):
        assert torch.equal(batch, resize_prepared(whole, half))
    arch = decode(supernet.space, sample(supernet.space, Random(0)))
    scores = {
        name: SupernetEvaluator(supernet, *sets, "cpu", settings, 5, AUGMENT)(arch)["default"]
        for name, settings in (("plain", config), ("augmented", CONFIG))
    }
    assert scores["plain"] != scores["augmented"]


@pytest.mark.parametrize("size", [2, 6, 64])
@pytest.mark.parametrize("count", [2, 3, 5, 13, 66, 200])
def test_calibration_images_are_shared_out_evenly(count, size):
    """Every batch counts alike in a BN's average, so a few images left over must not be one."""
    config = replace(CONFIG, calibration_batches=4, calibration_batch_size=size)
    batches = calibration_batches(_images(count, range(5), 0), SIZE, "cpu", config, AUGMENT, seed=1)
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= 2 and max(sizes) - min(sizes) <= 1
    assert sum(sizes) == min(count, 4 * size) and len(batches) <= 4
    assert max(sizes) <= max(size, 3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(supernet, sets, precision):
    full, half = (
        SupernetEvaluator(supernet, *sets, "cpu", replace(CONFIG, precision=each)) for each in ("fp32", precision)
    )
    arch = decode(supernet.space, sample(supernet.space, Random(0)))
    there, here = (each.features(each.network(arch, each.precision), SIZE, each.precision) for each in (full, half))
    assert here.dtype == torch.float32
    similarity = torch.nn.functional.cosine_similarity(there, here)
    assert 0.99 < similarity.min() and not torch.equal(there, here)
    assert half(arch)["default"] == pytest.approx(full(arch)["default"], abs=0.1)


def test_what_overflows_half_precision_is_scored_in_single(supernet, sets):
    with torch.no_grad():
        supernet.stem.conv.weight *= 1e7  # which BN takes away again where it is a number
    full, half = (
        SupernetEvaluator(supernet, *sets, "cpu", replace(CONFIG, precision=each)) for each in ("fp32", "fp16")
    )
    arch = decode(supernet.space, sample(supernet.space, Random(0)))
    assert not torch.isfinite(half.features(half.network(arch, "fp16"), SIZE, "fp16")).any()
    assert half(arch)["default"] == pytest.approx(full(arch)["default"], abs=0.02)


def test_auto_is_half_precision_on_cuda_alone(supernet, sets):
    assert pick_precision("auto", torch.device("cuda:1")) == "fp16"
    assert pick_precision("auto", torch.device("cpu")) == "fp32"
    assert pick_precision("bf16", torch.device("cuda")) == "bf16"
    assert SupernetEvaluator(supernet, *sets, "cpu", CONFIG).precision == "fp32"


def test_images_are_prepared_once_for_each_size(sets, monkeypatch):
    """And the score of an arch does not depend on what was evaluated before it."""
    space = load_space("tiny-plus")
    torch.manual_seed(0)
    supernet = Supernet(space)
    archs = [decode(space, sample(space, Random(seed))) for seed in range(6)]
    assert len({arch.input_size for arch in archs}) == 2
    alone = [SupernetEvaluator(supernet, *sets, "cpu", CONFIG)(arch) for arch in archs]
    calls = []
    monkeypatch.setattr(prepared, "prepare", lambda *given: calls.append(given[1]) or prepare(*given))
    evaluate = SupernetEvaluator(supernet, *sets, "cpu", CONFIG)
    assert [evaluate(arch) for arch in archs] == alone
    assert len(calls) == 2 * 5  # 32 images by 7


def test_evaluation_leaves_the_supernet_alone(supernet, sets):
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    evaluate = SupernetEvaluator(supernet.train(), *sets, "cpu", CONFIG)
    evaluate(decode(supernet.space, sample(supernet.space, Random(0))))
    assert supernet.training
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


def test_diverged_weights_give_nan(supernet, sets):
    with torch.no_grad():
        next(supernet.parameters()).fill_(float("nan"))
    evaluate = SupernetEvaluator(supernet, *sets, "cpu", CONFIG)
    score = evaluate(decode(supernet.space, sample(supernet.space, Random(0))))
    assert score["default"] != score["default"]


def test_scoring_on_training_identities_is_refused(supernet, sets):
    train, query, gallery = sets
    with pytest.raises(UserError, match="identity 10 is both"):
        SupernetEvaluator(supernet, _images(9, range(8, 12), 3), query, gallery, "cpu", CONFIG)
    with pytest.raises(UserError, match="identity 3 is both"):
        SupernetEvaluator(supernet, train, query, _images(24, (*range(10, 14), 3), 2), "cpu", CONFIG)
    with pytest.raises(UserError, match="too few"):
        SupernetEvaluator(supernet, train.select(torch.tensor([0])), query, gallery, "cpu", CONFIG)


def test_another_supernet_is_scored_on_the_same_prepared_images(supernet, sets):
    torch.manual_seed(1)
    other = Supernet(supernet.space)
    evaluate, alone = (
        SupernetEvaluator(each, *sets, "cpu", CONFIG, augmentation=AUGMENT) for each in (supernet, other)
    )
    beside = evaluate.beside(other)
    arch = decode(supernet.space, sample(supernet.space, Random(0)))
    own = evaluate(arch)
    assert beside(arch) == alone(arch) != own == evaluate(arch)
    assert beside.images is evaluate.images and beside.calibration(SIZE) is evaluate.calibration(SIZE)
