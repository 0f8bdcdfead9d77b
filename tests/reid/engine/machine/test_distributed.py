"""Two gloo processes against one: the loss and every gradient of a network with BN, the triplet mined in the whole
batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from reid.data.samplers import PKSampler
from reid.engine.machine.distributed import (
    Processes,
    _meeting_place,
    barrier,
    broadcast_parameters,
    from_environment,
    gather_batch,
    process_group,
    sum_gradients,
)
from reid.engine.machine.sync_batch_norm import sync_batch_norm
from reid.errors import UserError

CPU = torch.device("cpu")
PROGRAM = Path(__file__).with_name("distributed_program.py")


@pytest.fixture(scope="module")
def program(load_program):
    return load_program(PROGRAM)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, run_twice) -> list[dict]:
    """What each of two real processes got."""
    folder = tmp_path_factory.mktemp("processes")
    run_twice(PROGRAM, folder)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def _single_process(program, dtype: torch.dtype):
    """The same training written plainly: torch's own BN, the whole batch, no gathering."""
    task, (images, labels) = program.fresh_task(0, dtype), program.data(dtype)
    steps = []
    for index in PKSampler(labels, program.P, program.K, 1).epoch(1)[:3]:
        task.zero_grad()
        loss = program.loss_of(*task.outputs(images[index]), labels[index])
        loss.backward()
        steps.append((loss.detach(), {name: p.grad.clone() for name, p in task.named_parameters()}))
        program.descend(task)
    return steps, task.state_dict()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["float32", "float64"]
)
def test_two_processes_train_as_one(program, ranks, dtype, tolerance):
    steps, state = _single_process(program, dtype)
    assert len(steps) == 3
    for rank in ranks:
        got = rank["trainings"][str(dtype)]
        for (loss, gradients), own in zip(steps, got["steps"], strict=True):
            torch.testing.assert_close(own["loss"], loss, rtol=tolerance, atol=tolerance)
            assert own["gradients"].keys() == gradients.keys()
            for name, gradient in gradients.items():
                assert gradient.abs().max() > 1e-5  # or it would be equal to nothing
                torch.testing.assert_close(own["gradients"][name], gradient, rtol=tolerance, atol=tolerance)
        assert got["state"].keys() == state.keys()  # BN's running statistics and counters are among them
        for name, value in state.items():
            torch.testing.assert_close(got["state"][name], value, rtol=tolerance, atol=tolerance)


def test_processes_stay_equal_bit_by_bit(ranks):
    first, second = (rank["trainings"]["torch.float32"] for rank in ranks)
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())


def test_gradients_are_summed_whatever_their_kind(ranks):
    shapes = ((3,), (2, 3, 2, 2), (4,), (5,), (30,), (2,))
    drawn = []
    for rank in range(2):
        generator = torch.Generator().manual_seed(rank)
        drawn.append([torch.randn(s, generator=generator) if n != 3 else None for n, s in enumerate(shapes)])
    for rank in ranks:
        for gradient, a, b in zip(rank["collectives"]["gradients"], *drawn, strict=True):
            if a is None:
                assert gradient is None
            else:
                torch.testing.assert_close(gradient, (a + b).to(gradient.dtype))
        assert rank["collectives"]["gradients"][5].dtype == torch.float64


def test_the_first_process_gives_its_parameters_and_buffers(ranks):
    for rank in ranks:
        state = rank["collectives"]["broadcast"]
        assert state["num_batches_tracked"] == 2**40 + 1 and torch.equal(state["weight"], torch.ones(2))


def test_batches_are_gathered_in_the_order_of_the_ranks(ranks):
    expected = torch.tensor([[0, 2], [1, 3], [10, 12], [11, 13]])
    for rank in ranks:
        gathered = rank["collectives"]["gathered"]
        assert [t.dtype for t in gathered] == [torch.int64, torch.uint8, torch.bfloat16, torch.float16]
        assert all(torch.equal(t.long(), expected) for t in gathered)


def test_batch_norm_of_uneven_shares(program, ranks):
    """3 and 5 images with a mean a thousand times their spread, beside torch's BN of all 8 in float64."""
    (x, dy), layer = program.uneven(), nn.BatchNorm2d(4).double()
    x = x.double().requires_grad_()
    y = layer(x)
    y.backward(dy.double())
    got = [rank["batch norm"] for rank in ranks]
    torch.testing.assert_close(torch.cat([g["y"] for g in got]).double(), y.detach(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.cat([g["dx"] for g in got]).double(), x.grad, rtol=1e-3, atol=1e-3)
    layer(x.detach().bfloat16().double())
    layer.eval()
    for rank in got:
        assert rank["half"] == (torch.bfloat16, torch.bfloat16)
        for name, value in layer.state_dict().items():
            torch.testing.assert_close(rank["state"][f"0.{name}"].to(value.dtype), value, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(rank["in eval mode"].double(), layer(x).detach(), rtol=1e-3, atol=1e-3)


def test_batch_norm_that_holds_its_activation(program, ranks):
    """Beside the same layer on the whole batch in one process."""
    (x, dy), layer = program.uneven(), nn.Sequential(program.Activated(4))
    x = (x - 1000).requires_grad_()
    y = layer(x)
    y.backward(dy)
    got = [rank["activated"] for rank in ranks]
    assert (y == 0).any()
    torch.testing.assert_close(torch.cat([g["y"] for g in got]), y.detach())
    torch.testing.assert_close(torch.cat([g["dx"] for g in got]), x.grad, rtol=1e-4, atol=1e-5)
    layer.eval()
    torch.testing.assert_close(torch.cat([g["in eval mode"] for g in got]), layer(x).detach())
    assert got[0]["state"].keys() == layer.state_dict().keys()


def test_a_batch_norm_of_another_kind_is_refused():
    class Other(nn.BatchNorm2d):
        pass

    with pytest.raises(UserError, match="the kind Other cannot .* set sync_batch_norm to false"):
        sync_batch_norm(Processes(0, 2, CPU), nn.Sequential(Other(4)))


def test_one_process_changes_nothing():
    alone = from_environment(CPU, {})
    assert alone == Processes(0, 1, CPU) and alone.is_main and not alone.several
    tensor = torch.ones(2, requires_grad=True)
    module = nn.Sequential(nn.BatchNorm1d(2))
    with process_group(alone) as processes:
        assert processes is alone and not torch.distributed.is_initialized()
        assert gather_batch(processes, tensor) is tensor
        assert sync_batch_norm(processes, module) is module and type(module[0]) is nn.BatchNorm1d
        parameter = nn.Parameter(torch.zeros(2))
        parameter.grad = torch.ones(2)
        sum_gradients(processes, [parameter])
        assert torch.equal(parameter.grad, torch.ones(2))
        broadcast_parameters(processes, module)
        barrier(processes)


def test_a_group_sees_nothing_of_the_one_before(monkeypatch):
    """Groups follow each other with ``--repeats``, and torchrun's store outlives them. With one name for both, whoever
    comes first would read where the other one listened before, and wait, or be refused."""
    server = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    agent = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(server.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in agent.items():
        monkeypatch.setenv(name, value)
    _meeting_place.cache_clear()
    stores = {0: [], 1: []}
    monkeypatch.setattr(dist, "init_process_group", lambda *_, store, rank, **__: stores[rank].append(store))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    for rank, own in stores.items():
        for number in range(2):
            with process_group(Processes(rank, 2, CPU)):
                own[-1].set(f"address of {rank}", str(number))
    for number in range(2):
        assert [stores[1 - rank][number].get(f"address of {rank}") for rank in stores] == [str(number).encode()] * 2
    _meeting_place.cache_clear()


def test_torchruns_environment():
    environment = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
    processes = from_environment(CPU, environment)
    assert processes == Processes(5, 8, CPU) and processes.several and not processes.is_main
    assert from_environment(CPU, environment | {"RANK": "0"}).is_main


@pytest.mark.parametrize("environment", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "2", "RANK": "x", "LOCAL_RANK": "0"}])
def test_half_an_environment(environment):
    with pytest.raises(UserError, match="torchrun") as caught:
        from_environment(CPU, environment)
    assert "\n" not in str(caught.value)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    environment = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}
    assert from_environment(torch.device("cuda"), environment).device == torch.device("cuda", 1)
    with pytest.raises(UserError, match="more processes than the 2 GPUs"):
        from_environment(torch.device("cuda"), environment | {"LOCAL_RANK": "2"})
