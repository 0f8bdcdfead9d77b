"""Running sums of an epoch's log, step by step."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import torch


class Tally:
    """Sums over the steps of one epoch. They stay on the device, so adding to them does not wait for it.

    Attributes:
        steps: number of steps added.
        sums: sums of each of the log's scalars.
        first: the loss of the first step.
    """

    def __init__(self) -> None:
        self.steps, self.sums, self.first = 0, {}, None
        self._counts: Counter[str] = Counter()  # not every field is in every step's log
        self._images, self._earlier, self._start = 0, 0.0, time.perf_counter()

    def add(self, log: dict[str, torch.Tensor], images: int) -> None:
        """Adds a step's log and its number of images over all processes."""
        self.steps += 1
        self.sums |= {name: self.sums[name] + value if name in self.sums else value for name, value in log.items()}
        self._counts.update(log.keys())
        self._images += images
        if self.first is None:
            self.first = self.sums["loss"]

    def means(self) -> dict[str, float]:
        """The mean of each of the log's scalars over the steps that logged it, and the images per second."""
        means = {name: float(total) / self._counts[name] for name, total in self.sums.items()}
        return means | {"images_per_second": self._images / self._seconds()}

    def state(self) -> dict[str, Any]:
        """The state for ``load_state`` to continue from, bit for bit."""
        own = {"steps": self.steps, "sums": self.sums, "first": self.first, "images": self._images}
        return own | {"counts": dict(self._counts), "seconds": self._seconds()}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Restores what ``state`` returned, with its sums on ``device``."""
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.first = None if state["first"] is None else state["first"].to(device)
        self.steps, self._images, self._counts = state["steps"], state["images"], Counter(state["counts"])
        self._earlier, self._start = state["seconds"], time.perf_counter()

    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._start
