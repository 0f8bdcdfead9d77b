"""How well held-out identities order networks: of more identities better, and perfectly where there is no noise."""

from __future__ import annotations

import pytest
import torch
import yaml

from benchmarks.parts.held_out import agreements, group_score
from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import RECORDS
from reid.data.records import NO_CAMERA, ImageSet
from reid.data.split import query_gallery_split


@pytest.fixture
def images() -> ImageSet:
    """96 identities of three images at each of two cameras."""
    pids = torch.arange(96).repeat_interleave(6)
    return ImageSet(torch.zeros(len(pids), 2, 2, 3, dtype=torch.uint8), pids, 1 + torch.arange(len(pids)) % 2)


def features(images: ImageSet, noise: float, seed: int) -> torch.Tensor:
    """A vector for each identity, and noise on each image."""
    generator = torch.Generator().manual_seed(seed)
    persons = torch.randn(int(images.pids.max()) + 1, 16, generator=generator)
    return persons[images.pids] + noise * torch.randn(len(images), 16, generator=generator)


def test_more_identities_order_networks_better(images):
    noises = [0.8 + 0.02 * step for step in range(12)]
    networks = [features(images, noise, seed) for seed, noise in enumerate(noises)]
    found = list(agreements(networks, images, [-noise for noise in noises], [6, 48]))
    assert [(each.identities, each.groups, len(each.taus)) for each in found] == [(6, 16, 16)] * 2 + [(48, 2, 2)] * 2
    tau = {(each.identities, each.queries): sum(each.taus) / each.groups for each in found}
    for queries in ("one for each camera", "every image"):
        assert 0 < tau[6, queries] < tau[48, queries] < 1
    # More wrong answers are there to be found among more persons.
    assert found[0].mAP > found[2].mAP


def test_scores_are_those_of_a_search(images):
    rows, group = features(images, 1.0, 0), images.pids < 20
    query, gallery = query_gallery_split(images.select(group))
    order = {(int(pid), int(camid)): [] for pid, camid in zip(images.pids, images.camids, strict=True)}
    for row, pid, camid in zip(rows[group], images.pids[group], images.camids[group], strict=True):
        order[int(pid), int(camid)].append(row)
    first = torch.stack([order[int(p), int(c)][0] for p, c in zip(query.pids, query.camids, strict=True)])
    taken = {key: 1 if key in set(zip(query.pids.tolist(), query.camids.tolist(), strict=True)) else 0 for key in order}
    rest = []
    for pid, camid in zip(gallery.pids.tolist(), gallery.camids.tolist(), strict=True):
        rest.append(order[pid, camid][taken[pid, camid]])
        taken[pid, camid] += 1
    wanted = score_features(
        first, query.pids, query.camids, torch.stack(rest), gallery.pids, gallery.camids, rule=RECORDS
    )
    assert group_score(rows, images, group, every=False) == pytest.approx(wanted.mAP, abs=1e-12)


@pytest.mark.parametrize("cameras", [True, False])
def test_an_image_does_not_find_itself(images, cameras):
    """Where features are all different and say nothing, a query's own image would be first at distance 0."""
    rows = torch.randn(len(images), 64, generator=torch.Generator().manual_seed(0))
    labels = images if cameras else ImageSet(images.images, images.pids, torch.full_like(images.camids, NO_CAMERA))
    assert group_score(rows, labels, images.pids < 48, every=True) < 0.1


ALL = "was trained on all identities; train with --set data.train_identities=N"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("data: {train_identities: 8, retrain_on_holdout: true}", f"{{run}} {ALL}"),
        ("data: {retrain_on_holdout: false}", f"{{run}} {ALL}"),
        ("data: {train_identities: 8", "{run}/config.yaml"),
        ("seed: 1", "{run}/config.yaml is not of a training of a network; name a run folder of tools/retrain.py"),
        (None, "{run}/config.yaml"),
    ],
)
def test_runs_that_left_nobody_unused_or_are_none(run_here, tmp_path, config, message):
    if config is not None:
        (tmp_path / "config.yaml").write_text(config)
    done = run_here("held_out.py", *[str(tmp_path)] * 4)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message.format(run=tmp_path) in done.stderr


def test_runs_of_other_identities_are_not_compared(run_here, tmp_path):
    for name, count in (("a", 8), ("b", 9)):
        (tmp_path / name).mkdir()
        data = {"train_identities": count, "retrain_on_holdout": False}
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    first, other = str(tmp_path / "a"), str(tmp_path / "b")
    done = run_here("held_out.py", first, first, first, other)
    assert done.returncode == 2 and f"{other} was trained on other identities than {first}" in done.stderr


def test_three_runs_are_no_ranking(run_here):
    done = run_here("held_out.py", "a", "b", "c")
    assert done.returncode == 2 and done.stderr == "error: 3 runs are too few to have an order; give at least 4\n"
