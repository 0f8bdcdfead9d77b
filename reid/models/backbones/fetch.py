"""Published weights from the network, once; later from torch's cache."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from reid.errors import UserError, first_line
from reid.models.backbones.state_files import read_state

TIMEOUT = 10.0
"""Seconds to wait for a server's first answer."""


def fetch_state(url: str, what: str) -> dict[str, Tensor]:
    """The state dict at ``url``, from the cache (``$TORCH_HOME/hub/checkpoints``) if it is there already.

    Args:
        url: address of a file whose name ends with the first digits of its SHA-256, which are checked:
            ``.../resnet18-f37072fd.pth``.
        what: whose weights they are, for the message.

    Raises:
        UserError: it could not be fetched, or is not what its name says; or the file in the cache is damaged.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Try the connection first, since torch waits without limit for a server that does not answer.
            urllib.request.urlopen(url, timeout=TIMEOUT).close()
            digest = cached.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(url, str(cached), hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:  # RuntimeError: the digits differ
            reason = first_line(getattr(error, "reason", error))
            raise UserError(
                f"ImageNet weights of {what} could not be downloaded ({reason}); download {url} on a computer with "
                "internet access and give the file's path in place of 'imagenet'"
            ) from None
    return read_state(cached)
