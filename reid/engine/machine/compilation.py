"""``torch.compile`` for training a network, and for no other use of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from reid.errors import UserError, first_line


class Compiled:
    """Runs modules compiled, each with its own compilation, made at its first batch.

    Only this object holds the compiled twin, which shares the module's weights. So names in checkpoints, copies for
    averages, evaluation and export are the same as without compilation, and evaluations between epochs compile nothing.

    A module is compiled once for each way in which a training runs it: its batches have one size, and a part that is
    frozen in the first epochs runs in eval mode until then.
    """

    def __init__(self) -> None:
        self._twins: dict[nn.Module, Callable[[torch.Tensor], torch.Tensor]] = {}

    def __call__(self, module: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """``module(images)``.

        Raises:
            UserError: kernels cannot be compiled on this machine.
        """
        from torch._dynamo.exc import BackendCompilerFailed  # here, since importing it takes seconds

        if module not in self._twins:
            self._twins[module] = torch.compile(module, dynamic=False)
        try:
            return self._twins[module](images)
        except BackendCompilerFailed as error:
            why = first_line(error.inner_exception)
            raise UserError(
                f"compile: torch.compile cannot build kernels on this machine ({why}); set compile to false"
            ) from error


def plain(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """``module(images)``, not compiled."""
    return module(images)
