"""BN over the batch of all processes, also on the CPU (``torch.nn.SyncBatchNorm`` runs only on GPUs)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from reid.engine.machine.distributed import Processes
from reid.errors import UserError
from reid.precision import widened


def sync_batch_norm(processes: Processes, module: nn.Module) -> nn.Module:
    """``module`` with every ``BatchNorm1d`` and ``BatchNorm2d`` in it replaced by one that normalises over all
    processes in training.

    A layer of another kind with an attribute ``batch_normalise``, a function with the arguments of the one here, gets
    ``batch_normalise_together`` instead; an elastic BN takes part in this way. What timm's BN does in addition
    (``BatchNormAct2d``: dropout and activation) is kept.

    Parameters, buffers and their names stay the same for optimizers and checkpoints. With a single process nothing is
    replaced. Afterwards, all processes must run ``module`` in training mode together.

    Raises:
        UserError: a BN layer is of a kind that does something else in addition.
    """
    if not processes.several:
        return module
    for layer in module.modules():
        if hasattr(layer, "batch_normalise"):
            layer.batch_normalise = batch_normalise_together
    return replaced(module, _of_torch if processes.device.type == "cuda" else SyncBatchNorm)


def batch_normalise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """BN of ``(N, C, ...)`` by the statistics of this batch, to the same shape; ``weight``, ``bias`` are ``(C,)``."""
    return F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)


def batch_normalise_together(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """``batch_normalise`` by the statistics of the whole batch of the default process group. ``N`` may differ between
    processes, and all must call it together."""
    return _Normalise.apply(x, weight, bias, eps)[0]


def replaced(module: nn.Module, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """``module`` with every BN layer in it replaced by the result of ``make``; see ``sync_batch_norm``."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return _made(module, make)
    for name, child in module.named_children():
        setattr(module, name, replaced(child, make))
    return module


def _made(plain: nn.BatchNorm1d | nn.BatchNorm2d, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """``make(plain)``, followed by the layers that timm's BN contains and runs after its normalisation."""
    behind = dict(plain.named_children())
    if type(plain) not in (nn.BatchNorm1d, nn.BatchNorm2d) and behind.keys() != {"drop", "act"}:
        raise UserError(
            f"sync_batch_norm: a BN layer of the kind {type(plain).__name__} cannot be normalised over several "
            "processes; set sync_batch_norm to false, or train in one process"
        )
    layer = make(plain)
    for name, child in behind.items():
        layer.add_module(name, child)
    if behind:
        layer.register_forward_hook(_then)
    return layer


def _then(layer: nn.Module, _: tuple, normalised: torch.Tensor) -> torch.Tensor:
    return layer.act(layer.drop(normalised))


def _of_torch(plain: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    return nn.SyncBatchNorm.convert_sync_batchnorm(plain)


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A BN layer that takes its training statistics from the whole batch of the default process group.

    Args:
        plain: the layer that it replaces; its parameters and buffers are shared, not copied.
    """

    def __init__(self, plain: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(
            plain.num_features, plain.eps, plain.momentum, affine=False, track_running_stats=plain.track_running_stats
        )
        self.affine, self.weight, self.bias = plain.affine, plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.train(plain.training)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"expected a tensor of at least 2 dimensions (got {x.ndim})")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, ...)`` to the same shape; ``N`` may differ between processes."""
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self._follow(mean, var * count / (count - 1))
        return y

    @torch.no_grad()
    def _follow(self, mean: torch.Tensor, unbiased_var: torch.Tensor) -> None:
        """Updates the running statistics as ``nn.BatchNorm2d`` does; ``momentum=None`` is the cumulative average."""
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased_var, share)


class _Normalise(torch.autograd.Function):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the statistics of all processes' ``x``.

    With ``h`` the normalised input and sums over the whole batch of ``M`` values per channel, the gradient is ``dx =
    weight / sqrt(var + eps) * (dy - (sum dy + h * sum(dy * h)) / M)``. The gradients of weight and bias are this
    process's share, as for any other parameter.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        dims = [0, *range(2, x.ndim)]
        var, mean = torch.var_mean(widened(x), dims, correction=0)
        own = torch.cat([mean, var, mean.new_tensor([x.numel() // x.shape[1]])])
        gathered = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, own)
        means, variances, counts = torch.stack(gathered).split([len(mean), len(var), 1], dim=1)
        # Chan et al. 1979: accurate even if the mean is large relative to the spread, unlike E[x^2] - E[x]^2.
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        var = (counts * (variances + (means - mean).square())).sum(0) / count
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt(), count)
        ctx.mark_non_differentiable(mean, var, count)
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps), mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, *_):
        x, weight, mean, scale, count = ctx.saved_tensors
        dims, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        dy = widened(dy)
        normal = (widened(x) - mean.view(shape)) * scale.view(shape)
        bias_gradient, weight_gradient = dy.sum(dims), (dy * normal).sum(dims)
        sums = torch.cat([bias_gradient, weight_gradient])
        dist.all_reduce(sums)
        dy_mean, dy_normal_mean = (sums / count).chunk(2)
        scale = scale if weight is None else scale * weight
        dx = scale.view(shape) * (dy - dy_mean.view(shape) - normal * dy_normal_mean.view(shape))
        affine = weight is not None
        return dx.to(x.dtype), weight_gradient if affine else None, bias_gradient if affine else None, None
