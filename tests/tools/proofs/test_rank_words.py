"""What a ranking says of supernets that may know the persons that it scores on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from reid.data.records import Dataset, ImageSet
from supernet.files import load_space
from tools.jobs.data import SearchData, Source
from tools.jobs.proofs.rank_words import Asked, announce_ranking

TAUGHT = {"recipe": {"losses": {"distillation": {"teacher": "OSNet-x0.42-market1501"}}}}
MAY_KNOW = "{0} may have seen the held-out identities"
TEACHER_MAY_KNOW = "was taught by OSNet-x0.42-market1501, which may have seen the held-out identities"


@pytest.fixture
def said(make_job, tmp_path, capsys):
    def announce(*overrides: str, **config: object) -> list[str]:
        """The notes on the supernet in ``tmp_path``, whose configuration is given."""
        images = ImageSet(torch.zeros(1, 4, 2, 3, dtype=torch.uint8), *torch.zeros(2, 1).long())
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        source, data = Source(Dataset("synthetic", (), (), ()), Path("cache")), SearchData(images, images, images)
        job, space = make_job(tmp_path, *overrides), load_space("tiny")
        announce_ranking(job, Asked((tmp_path,)), space, source, data, (), (), None)
        return [line.split(None, 1)[1] for line in capsys.readouterr().out.splitlines() if line.startswith("  note")]

    return announce


def test_supernets_that_may_know_the_held_out_persons_are_said(said, tmp_path):
    own = {"train_identities": None, "holdout_identities": 6}
    assert said(dataset="synthetic", data=own) == []
    assert said(dataset="synthetic", data=own | {"holdout_identities": 5}) == [MAY_KNOW.format(tmp_path)]
    assert said(dataset="synthetic", data=own, supernet=TAUGHT) == [f"the supernet in {tmp_path} {TEACHER_MAY_KNOW}"]
    by_teacher = "retrain.losses.distillation={teacher: OSNet-x0.42-market1501, similarity: 1.0}"
    told = TEACHER_MAY_KNOW.replace("was", "archs that are trained alone are", 1)
    assert said(by_teacher, dataset="synthetic", data=own) == [told]
