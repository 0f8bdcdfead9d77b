"""``tools/retrain.py --inherit``: where the training starts, what its rows say, and refusals."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from evaluation.comparison.groups import comparable_groups
from evaluation.comparison.row import read_result
from reid.engine.machine.device import seeded
from reid.files import read_yaml
from supernet.catalog import build, find_network
from supernet.files import NamedArch, load_space, save_arch
from supernet.space.genome import smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, load_supernet, save_supernet
from tools.jobs.data import open_source
from tools.jobs.evaluate.job import Request, evaluate
from tools.jobs.training.inherit import inherit, start_from

SPACE = load_space("tiny").at((64, 32))
CPU = torch.device("cpu")
STILL = "retrain.optimizer={name: sgd, lr: 1.0e-12, weight_decay: 0}"
"""A rate at which weights stay, to see what they were at first."""


@pytest.fixture(scope="module")
def supernet_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("supernet") / "run"
    with seeded(3):
        supernet = Supernet(SPACE)
        with torch.no_grad():  # weights of BN that are not all alike
            for parameter in supernet.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_supernet(run / "supernet.safetensors", supernet)
    return run


@pytest.fixture(scope="module")
def arch(tmp_path_factory):
    path = tmp_path_factory.mktemp("archs") / "least.yaml"
    save_arch(path, NamedArch("least", smallest(SPACE), {"space": "tiny"}))
    return path


@pytest.fixture(scope="module")
def start(make_job, supernet_run, arch, tmp_path_factory):
    """What a training begins with, and its job."""
    job = make_job(tmp_path_factory.mktemp("start") / "run")
    spec, _ = find_network(str(arch), [], (64, 32), (64, 32), 2, job.experiment.retrain.head)
    return job, spec, inherit(supernet_run, spec, open_source(job.experiment.data, None), job)


def test_step_0_is_the_supernets_network(start, supernet_run):
    """In training mode, where BN has the batch's statistics, it is the supernet itself."""
    _, spec, inherited = start
    with seeded(0):
        network = build(spec).train()
        images = torch.randn(8, 3, 64, 32)
    before = network(images)
    words = start_from(network, inherited)
    supernet = load_supernet(supernet_run / "supernet.safetensors", CPU).train()
    expected = supernet.outputs(images, spec.backbone)
    torch.testing.assert_close(network.outputs(images).feature, expected.feature, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network(images), expected.embedding, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, expected.embedding, atol=0.1)
    assert words.startswith("backbone and neck of ") and words.endswith("BN calibrated; classifier fresh")


def test_in_eval_mode_it_is_the_row_inherited(start, supernet_run, arch, tmp_path):
    job, spec, inherited = start
    evaluate(job, supernet_run / "supernet.safetensors", str(arch), tmp_path, Request(calibrate="none"))
    scored, _ = load_network(job.out / "last.safetensors", CPU)
    with seeded(1):
        network = build(spec)
    start_from(network, inherited)
    for (name, value), own in zip(scored.state_dict().items(), network.state_dict().values(), strict=True):
        assert torch.equal(value, own), name


def test_another_head_keeps_its_fresh_weights(start):
    _, spec, inherited = start
    config = type(spec.head)(embedding=8)
    with seeded(1):
        network = build(type(spec)(spec.name, spec.backbone, spec.input_size, config))
    fresh = {name: value.clone() for name, value in network.head.state_dict().items()}
    assert "the recipe's head is another than the supernet's" in start_from(network, inherited)
    assert all(torch.equal(value, fresh[name]) for name, value in network.head.state_dict().items())
    theirs = inherited.network.backbone.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in network.backbone.state_dict().items())


def test_a_training_starts_there(call, refused, start, supernet_run, arch, tmp_path):
    run = tmp_path / "run"
    asked = ("retrain", "--arch", arch, "--out", run, "--inherit", supernet_run)
    done = call(*asked, "--set", STILL)
    assert done.code == 0, done.err
    assert "from given weights, in " in done.out and "backbone and neck of " in done.out
    network, _ = load_network(run / "last.safetensors", CPU)
    own = dict(network.named_parameters())
    for name, value in start[2].network.named_parameters():
        torch.testing.assert_close(own[name], value, rtol=0, atol=1e-6, msg=name)
    row, saved = read_result(run), read_yaml(run / "config.yaml")
    assert row.name == "least (inherited)" and ", then 1 epoch of synthetic: 20 identities" in row.train_set
    assert row.train_set.startswith("inherited weights (") and saved["weights"] == f"supernet:{supernet_run}"

    # From scratch the classifier and the batches are the same, the rows are not compared.
    done = call("retrain", "--arch", arch, "--out", tmp_path / "scratch", "--set", STILL)
    assert done.code == 0, done.err
    scratch = read_result(tmp_path / "scratch")
    assert len(comparable_groups([row, scratch])) == 2
    assert "supernet_sha256" not in read_yaml(tmp_path / "scratch" / "config.yaml")
    one, two = (load_file(folder / "classifier.safetensors")["weight"] for folder in (run, tmp_path / "scratch"))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)

    # Going on with other weights is refused, also where they are of the same name.
    other = tmp_path / "other"
    with seeded(9):
        save_supernet(other / "supernet.safetensors", Supernet(SPACE))
    refused(
        call(*asked[:-1], other, "--set", STILL, "--resume"), "started with another configuration .weights: supernet:"
    )
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("supernet_sha256: ", "supernet_sha256: 0"))
    refused(call(*asked, "--set", STILL, "--resume"), "started with another configuration .supernet_sha256: 0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arch", "resnet18"), "a supernet contains only archs, and resnet18 is not one; leave --inherit out"),
        (("--arch", "mobilenetv2"), "the arch is not in space tiny: .*; name an arch that is, or leave --inherit out"),
        (("--inherit", "none"), "no trained supernet at none/supernet.safetensors; run python tools/train_supernet.py"),
        (("--weights", "imagenet"), "--inherit and --weights both set the initial weights; give one of the two"),
        (("--set", "space=mlr-210m"), "is a supernet of another space: name is tiny there and mlr-210m in space"),
    ],
)
def test_refusals(call, refused, supernet_run, arch, tmp_path, options, message):
    asked = ("retrain", "--arch", arch, "--inherit", supernet_run, "--out", tmp_path / "run")
    refused(call(*asked, *options), message)
    assert not (tmp_path / "run").exists()
