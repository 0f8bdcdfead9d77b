"""Images on which many networks are run: prepared once for each input size, and kept on the networks' device."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from reid.data.prepare import prepare
from reid.transfer import to_device

KEPT_BYTES = 512 * 2**20
"""1,700 images of 256x128 take 319 MiB in half precision and 638 MiB in full; of 128x64 a quarter of that."""


class PreparedImages:
    """Batches of prepared images, the same ones at each call.

    The images of each requested size are kept as a whole while the total stays within ``limit``; for any further size
    they are moved to the device and prepared again at every call. The features are the same either way.

    Args:
        pixels: ``(N, H, W, 3) uint8`` on the CPU.
        device: where the batches lie.
        batch_size: images of a batch; the last may be smaller.
        dtype: of the batches; a network in half precision rounds its input in the same way.
        limit: maximum number of bytes kept.
    """

    def __init__(
        self,
        pixels: torch.Tensor,
        device: torch.device | str,
        batch_size: int = 256,
        dtype: torch.dtype = torch.float32,
        limit: int = KEPT_BYTES,
    ) -> None:
        self.pixels, self.device, self.batch_size = pixels, torch.device(device), batch_size
        self.dtype, self.limit = dtype, limit
        self._kept: dict[tuple[int, int], list[torch.Tensor]] = {}

    @property
    def kept_bytes(self) -> int:
        """Memory of all batches that are kept."""
        return sum(batch.nbytes for batches in self._kept.values() for batch in batches)

    def batches(self, size: tuple[int, int]) -> Iterator[torch.Tensor]:
        """``(B, 3, h, w)`` batches of all images at ``size = (h, w)``, in their order and channels-last."""
        if size not in self._kept:
            needed = len(self.pixels) * 3 * size[0] * size[1] * self.dtype.itemsize
            if self.kept_bytes + needed > self.limit:
                return self._prepare(size)
            self._kept[size] = list(self._prepare(size))
        return iter(self._kept[size])

    def _prepare(self, size: tuple[int, int]) -> Iterator[torch.Tensor]:
        for pixels in self.pixels.split(self.batch_size):
            yield prepare(to_device(pixels, self.device), size).to(self.dtype)
