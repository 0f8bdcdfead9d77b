"""``tools/rank.py``: its options, and what is refused before anything is trained."""

from __future__ import annotations

import json
import re
from random import Random

import pytest

import tools.jobs.proofs.stand_alone
from reid.errors import UserError
from supernet.files import NamedArch, load_space, save_arch
from supernet.space import decode
from supernet.space.genome import sample
from tools.jobs.proofs.rank import Asked, rank
from tools.jobs.training.wanted import network_to_train

NAMES = ("B00", "B01", "B02", "B03")
SMALL = {"count": 4, "band": "2.5M", "within": 0.5}


def test_help(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call("rank", "--help", tiny=False)
    for option in (
        "--supernet",
        "--n",
        "--band",
        "--within",
        "--archs",
        "--repeats",
        "--alone",
        "--finetune-epochs",
        "--no-train",
    ):
        assert re.search(rf"^  {option}( [\w.= \[\]]+)?\s+\S+ \S+ .*\w", done.out, re.MULTILINE), option


def test_given_archs_see_images_of_the_spaces_size(supernets, call, monkeypatch, tmp_path):
    """Whatever size their files have, which a search writes as the one that costs are counted at."""
    sizes, space, random = {}, load_space("tiny"), Random(2)

    def stand_in(job, what):
        spec = network_to_train(job, what)[0]
        sizes[spec.name] = spec.input_size
        if len(sizes) == len(NAMES):
            raise UserError("seen")

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    for name in NAMES:
        arch = decode(space, sample(space, random)).at((128, 64))
        save_arch(tmp_path / "archs" / f"{name}.yaml", NamedArch(name, arch))
    asked = ("--archs", tmp_path / "archs", "--supernet", supernets[0], "--out", tmp_path / "out", "--repeats", 1)
    done = call("rank", "--set", "input_size=null", *asked)
    assert done.err.endswith("error: seen\n") and sizes == dict.fromkeys(NAMES, (64, 32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--supernet", "none"), r"no trained supernet at none/supernet.safetensors; run python tools/train_supernet"),
        (("--set", "space=mlr-210m"), "is a supernet of another space: name is tiny there and mlr-210m in space"),
        (("--set", "input_size=[80, 40]"), r"another space: input_size is \[64, 32\] there and \[80, 40\]"),
        (("--n", 3), "--n: 3 archs are too few for a ranking; give at least 4"),
        (("--band", "900M"), "--band 900.0M: space tiny spans .* give FLOPs in this range"),
        (("--within", 0.1), "--within sets how far"),
        (("--repeats", 0), "--repeats 0: must be from 1 to 1000"),
        (("--repeats", 10**9), "--repeats 1000000000: must be from 1 to 1000"),
        (("--n", 10**9), "--n 1000000000: must be from 1 to 1000"),
        (("--finetune-epochs", 0), "--finetune-epochs 0: must be at least 1"),
        (
            ("--archs", "configs/archs", "--band", "5M"),
            "--archs names the archs, and --band is for drawing some; give one of",
        ),
        (
            ("--archs", "configs/archs", "--n", 4),
            "--archs names the archs, and --n is for drawing some; give one of the two",
        ),
        (
            ("--archs", "configs/archs/mobilenetv2.yaml"),
            "mobilenetv2.yaml: the arch is not in space tiny: .* give",
        ),
        (("--no-train", "--n", 4), "0 of 4 archs have a finished stand-alone training in .*leave --no-train out"),
    ],
)
def test_refusals(call, refused, supernets, tmp_path, options, message):
    done = call("rank", "--supernet", supernets[0], "--out", tmp_path / "out", *options)
    if "none" in options:
        done = call("rank", "--out", tmp_path / "out", *options)
    refused(done, message)
    assert not (tmp_path / "out").exists()


def test_other_rankings_that_do_not_fit_are_refused_before_anything_is_trained(supernets, make_job, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"dataset": "synthetic", "archs": []}))
    with pytest.raises(UserError, match="^--learn-from .*0 trained archs are too few"):
        rank(make_job(tmp_path / "out"), Asked(supernets, repeats=1, learn_from=[other], **SMALL))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="^--learn-from: there is no ranking.json at"):
        rank(make_job(tmp_path / "out"), Asked(supernets, repeats=1, learn_from=[tmp_path / "none"], **SMALL))
