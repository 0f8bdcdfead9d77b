"""TensorBoard's embedding projector: features with their labels, without any picture of a person."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from reid.data.records import DISTRACTOR_PID, JUNK_PID
from reid.errors import UserError
from reid.files import write_atomic, write_text

CONFIG = "projector_config.pbtxt"
"""File name that TensorBoard looks for beside a run's events."""

FOLDER = "projector"
NAME = "embeddings"

NOBODY = (JUNK_PID, DISTRACTOR_PID)
"""Identities of junk and distractors, as our own labels number them."""


def write_projector(
    folder: Path,
    embeddings: torch.Tensor,
    pids: torch.Tensor,
    camids: torch.Tensor,
    limit: int = 2000,
    nobody: Collection[int] = NOBODY,
) -> Path:
    """Writes the projector's data into the folder of a run's events, and returns its configuration file.

    Whole identities are taken, in ascending order, as long as they fit into ``limit`` points (of the first at least
    ``limit`` images); ``nobody``, junk and distractors, are left out. Writing again replaces what
    was there. ``SummaryWriter.add_embedding`` is not used, since it opens another event file each time and cannot
    replace.

    Args:
        folder: where the run's TensorBoard events lie.
        embeddings: ``(N, D)`` float, the vectors that persons are compared by.
        pids, camids: ``(N,) int64`` identity and camera, shown and coloured by.
        nobody: identities of junk and distractors; a feature file may number them differently from our labels.
        limit: the greatest number of points; the projector's t-SNE is slow beyond some thousands.

    Raises:
        UserError: the lengths differ, or no image is of a person.
    """
    if not len(embeddings) == len(pids) == len(camids):
        raise UserError(
            f"projector: {len(embeddings)} embeddings, {len(pids)} pids and {len(camids)} camids; give as many of each"
        )
    chosen = choose_points(pids, limit, nobody)
    vectors = embeddings[chosen].float().cpu().numpy()
    lines = [f"{pid}\t{camid}" for pid, camid in zip(pids[chosen].tolist(), camids[chosen].tolist(), strict=True)]
    data = Path(folder) / FOLDER
    write_atomic(data / "tensors.tsv", lambda path: np.savetxt(path, vectors, fmt="%.6g", delimiter="\t"))
    write_text(data / "metadata.tsv", "\n".join(["identity\tcamera", *lines]) + "\n")
    config = ProjectorConfig()
    config.embeddings.add(tensor_name=NAME, tensor_path=f"{FOLDER}/tensors.tsv", metadata_path=f"{FOLDER}/metadata.tsv")
    return write_text(Path(folder) / CONFIG, text_format.MessageToString(config))


def choose_points(pids: torch.Tensor, limit: int, nobody: Collection[int] = NOBODY) -> torch.Tensor:
    """Indices ``(M,) int64``, ``M <= limit``, of the images that are shown, identity by identity.

    Raises:
        UserError: no image is of a person.
    """
    labels = pids.cpu()
    chosen: list[torch.Tensor] = []
    free = limit
    for pid in labels.unique().tolist():
        if pid in nobody:
            continue
        members = (labels == pid).nonzero().flatten()
        if len(members) > free and chosen:
            break
        chosen.append(members[:free])
        free -= len(chosen[-1])
    if not chosen or limit < 1:
        raise UserError("projector: there is no image of a person to show")
    return torch.cat(chosen)
