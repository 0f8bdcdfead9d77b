"""Training on several processes with the gradient of one: the batch is split, but the loss covers all of it.

Every process runs its share of the batch through its copy of the network, gathers the features, logits and labels of
all, and computes the same loss over the whole batch (in which triplets are mined). Its backward pass gives the part of
the gradient that flows through its own share, so the sum over processes is exactly the gradient that one process would
compute. With ``sync_batch_norm`` this also holds for networks with BN.

``DistributedDataParallel`` is not used: it averages gradients of losses that each process computes on its own share,
and expects one backward pass per step, whereas the supernet has several.

With a single process, all functions do nothing or return their argument.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous

from reid.errors import UserError

PATIENCE = timedelta(days=1)
"""How long processes wait for one another in one call: the others wait while the first decodes images, scores a test
set (hours on a CPU) or measures a latency table. torch's own timeouts are 10 minutes (NCCL) and 30 (gloo). A dead
process is still noticed at once: ``torchrun`` ends the others, and gloo's connection closes."""

HEARING = timedelta(seconds=5)
"""How long a process waits for the first one to report the same error."""

ERROR = "error"
"""Key in the store for the error that ended the first process."""

_BUCKET = 2**23
"""Elements reduced in one call: 32 MiB of float32, beyond which a call's overhead no longer matters."""


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: 0 .. world_size - 1; rank 0 writes the files.
        world_size: number of processes.
        device: the device of this process.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def several(self) -> bool:
        return self.world_size > 1


SINGLE = Processes(0, 1, torch.device("cpu"))
"""A process that trains alone; its device is not used."""


def from_environment(device: torch.device, environment: Mapping[str, str] = os.environ) -> Processes:
    """The process as ``torchrun`` describes it in RANK, LOCAL_RANK and WORLD_SIZE; a single process if none is set.

    On CUDA each process of a machine gets the GPU of its LOCAL_RANK.

    Raises:
        UserError: only some of the variables are set, or a machine has more processes than GPUs.
    """
    if "WORLD_SIZE" not in environment:
        return Processes(0, 1, device)
    try:
        rank, local, world_size = (int(environment[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    except (KeyError, ValueError):
        raise UserError(
            "RANK, LOCAL_RANK and WORLD_SIZE must all be whole numbers if WORLD_SIZE is set; start the job with "
            "torchrun"
        ) from None
    if device.type == "cuda" and world_size > 1:
        if local >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise UserError(
                f"torchrun starts more processes than the {count} GPUs of this machine; lower --nproc_per_node"
            )
        device = torch.device("cuda", local)
    return Processes(rank, world_size, device)


@contextlib.contextmanager
def process_group(
    processes: Processes, init_method: str = "env://", timeout: timedelta = PATIENCE
) -> Iterator[Processes]:
    """Connects the processes while the block runs: gloo between CPUs, NCCL between GPUs.

    Processes may do so several times in succession, if all of them do.

    Args:
        init_method: how they find each other: torchrun's environment, or a ``file://`` that all of them can access.
        timeout: longest time that a process waits for the others in one call.
    """
    if not processes.several:
        yield processes
        return
    on_gpu = processes.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(processes.device)
    store, number = _meeting_place(init_method, processes.rank, processes.world_size)
    store.set_timeout(timeout)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        # torch itself would use the same keys for each group: the first process would read the addresses of the
        # previous group, where nobody listens any more.
        store=dist.PrefixStore(f"group {next(number)}", store),
        timeout=timeout,
        rank=processes.rank,
        world_size=processes.world_size,
        device_id=processes.device if on_gpu else None,
    )
    try:
        yield processes
    finally:
        dist.destroy_process_group()


@functools.cache
def _meeting_place(init_method: str, rank: int, world_size: int) -> tuple[dist.Store, Iterator[int]]:
    """The store through which processes find each other, shared by all groups that they form, and numbers for these."""
    store, *_ = next(rendezvous(init_method, rank, world_size, timeout=PATIENCE))
    return store, itertools.count()


def said_by_first(line: str, environment: Mapping[str, str] = os.environ, patience: timedelta = HEARING) -> bool:
    """Whether the first of torchrun's processes ends with the same error ``line``, which then need not be reported
    again. The first process itself records its error for the others.

    They communicate through the store of torchrun's agent, which outlives them, whether or not they have connected
    before. A process that hears nothing within ``patience``, or of another error, reports its own. False if there is no
    such store.
    """
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return False
    try:
        processes = from_environment(SINGLE.device, environment)
        store, _ = _meeting_place("env://", processes.rank, processes.world_size)
        if processes.is_main:
            store.set(ERROR, line)
            return False
        store.wait([ERROR], patience)
        return store.get(ERROR) == line.encode()
    except (UserError, RuntimeError, ValueError):  # from torch.distributed: no answer in time, or nobody listens
        return False


def gather_batch(processes: Processes, tensor: torch.Tensor) -> torch.Tensor:
    """``(N, ...)`` of every process, the same shape everywhere, as ``(world_size * N, ...)`` in the order of ranks.

    This process's own rows keep their gradient; the others are constants.
    """
    if not processes.several:
        return tensor
    own = tensor.detach().contiguous()
    shares = [torch.empty_like(own) for _ in range(processes.world_size)]
    dist.all_gather(shares, own)
    shares[processes.rank] = tensor
    return torch.cat(shares)


@torch.no_grad()
def sum_gradients(processes: Processes, parameters: Iterable[nn.Parameter]) -> None:
    """Turns every process's ``.grad`` into the gradient of the whole batch; to be called once per step, before the
    gradient is clipped or unscaled.

    Args:
        parameters: those used before ``gather_batch``, so that each process's gradient is that of its share. Those
            without a gradient are skipped; they must be the same on every process.
    """
    if processes.several:
        _reduce([parameter.grad for parameter in parameters if parameter.grad is not None])


@torch.no_grad()
def broadcast_parameters(processes: Processes, module: nn.Module) -> None:
    """Gives every process the parameters and buffers of rank 0."""
    if processes.several:
        for bucket in _buckets(list(module.state_dict().values())):
            flat = _flatten(bucket)
            dist.broadcast(flat, src=0)
            _unflatten(flat, bucket)


def barrier(processes: Processes) -> None:
    """Waits for all processes."""
    if processes.several:
        dist.barrier(device_ids=[processes.device.index] if processes.device.type == "cuda" else None)


def _reduce(tensors: list[torch.Tensor]) -> None:
    for bucket in _buckets(tensors):
        flat = _flatten(bucket)
        dist.all_reduce(flat)
        _unflatten(flat, bucket)


def _buckets(tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Groups of consecutive tensors of one dtype, up to ``_BUCKET`` elements each: one call per small tensor would cost
    more than its content."""
    bucket: list[torch.Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size + tensor.numel() > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


def _flatten(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten(flat: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    for part, tensor in zip(flat.split([tensor.numel() for tensor in tensors]), tensors, strict=True):
        tensor.copy_(part.view(tensor.shape))
