"""Networks whose weights are all copied from elsewhere: built without drawing initial ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = {torch.Tensor.normal_, torch.Tensor.uniform_}


class without_drawing(TorchFunctionMode):  # noqa: N801  (a context manager, called like a function)
    """A context in which the functions of ``torch.nn.init`` leave weights uninitialised.

    They draw nothing: torch's global generator is unchanged, and a layer costs only its memory. Building a
    network on torch's ``meta`` device and then moving it takes three to four times as long, since ``meta`` runs each
    initialisation through Python.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # Some functions of torch.nn.init are intercepted here themselves, others only at the functions that draw.
        if func in _DRAWS or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
