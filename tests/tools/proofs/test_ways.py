"""Inherited scores at hand: whether they are of the supernet, and of the calibration, that is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from reid.errors import UserError
from reid.files import write_json, write_text
from supernet.files import load_space
from supernet.space.genome import smallest
from tools.jobs.bn_calibration import calibrated_by
from tools.jobs.proofs.contenders import Contender
from tools.jobs.proofs.ways import check_ways, plan_ways
from tools.jobs.runs.provenance import sha256

PLAIN, AUGMENTED = (f"search.calibration_images={images}" for images in ("plain", "augmented"))


@pytest.fixture
def check(make_job, supernet_run, tmp_path):
    """Looks, by the options, at a score of the tiny supernet that says these things of itself."""
    archs = [Contender("A", "random", smallest(load_space("tiny").at((64, 32))), tmp_path / "A.yaml")]

    def run(about: dict, *options: str, seed: int = 0, others: Sequence[Path] = ()) -> None:
        job = make_job(tmp_path / "out", *options, seed=seed)
        ways = plan_ways(archs, supernet_run, 1, [seed], tmp_path, job)
        write_json(ways.scored["A"] / "result.json", {})
        own = {"weights_sha256": sha256(supernet_run / "supernet.safetensors")}
        write_json(ways.scored["A"] / "score.json", {"about": own | about})
        check_ways(ways, job, "synthetic", [supernet_run, *others])

    return run


def test_a_score_that_was_calibrated_alike_is_taken(check, make_job, tmp_path):
    for option in (PLAIN, AUGMENTED):
        noted = calibrated_by(make_job(tmp_path, option).experiment, 3)
        check({"calibration": json.loads(json.dumps(noted))}, option, seed=3)


def test_a_score_from_before_it_was_noted_is_of_plain_images(check):
    check({}, PLAIN, seed=3)
    message = "A-inherited was scored with other .*: calibration_images was plain and is augmented now"
    with pytest.raises(UserError, match=f"{message}; give .* or remove .*-inherited, which are scored again"):
        check({}, AUGMENTED)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (PLAIN, "calibration_images was augmented and is plain now"),
        ("search.calibration_batches=3", "calibration_batches was 1 and is 3 now"),
        ("search.calibration_batch_size=8", "calibration_batch_size was 16 and is 8 now"),
        ("supernet.recipe.augment={flip: 0.25}", "calibration_augment was {'pad': 4} and is .*'flip': 0.25.* now"),
    ],
)
def test_a_score_that_was_calibrated_otherwise_is_refused(check, make_job, tmp_path, option, words):
    noted = calibrated_by(make_job(tmp_path).experiment, 0)
    check({"calibration": noted})
    with pytest.raises(UserError, match=f"other settings of BN's calibration: {words}"):
        check({"calibration": noted}, option)
    with pytest.raises(UserError, match="other settings of BN's calibration: seed was 0 and is 1 now"):
        check({"calibration": noted}, seed=1)


def test_scores_of_another_supernet_are_refused(check):
    with pytest.raises(UserError, match="contains scores of another supernet's weights"):
        check({"weights_sha256": "0"})


def test_scores_of_the_supernet_that_was_named_first_tell_the_order(check, tmp_path):
    """Its runs have the place that another one's, named first now, would have."""
    first = tmp_path / "first"
    weights = write_text(first / "supernet.safetensors", "others")
    with pytest.raises(
        UserError, match=r"A-inherited contains scores of the weights of .*first, .* name .*first first, or"
    ):
        check({"weights_sha256": sha256(weights)}, others=[first])
