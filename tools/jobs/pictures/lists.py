"""Ranked lists and activation maps of chosen queries, several per sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.features.activations import activation_maps, upsampled
from evaluation.pictures.activation_maps import ActivationTile, draw_activation_maps, overlay
from evaluation.pictures.ranked_lists import ListRow, ListTile, draw_ranked_lists
from evaluation.retrieval.lists import RankedList
from tools.jobs.evaluate.subject import Subject
from tools.jobs.pictures.album import Album, Side

LISTS, MAPS = 4, 12
"""Queries per sheet, of ranked lists and of activation maps."""


class Maps:
    """Activation maps of an album's images, at the images' size."""

    def __init__(self, subject: Subject, album: Album) -> None:
        self.subject, self.album = subject, album

    def of(self, side: Side, places: Sequence[int]) -> np.ndarray:
        """``(N, H, W) float32`` in 0..1."""
        pixels = getattr(self.album, side).images[torch.tensor(places)]
        subject = self.subject
        maps = activation_maps(subject.network, pixels, subject.input_size, subject.device)
        return upsampled(maps, tuple(pixels.shape[1:3])).numpy()


def draw_lists(
    out: Path, lists: Sequence[RankedList], album: Album, footer: Sequence[str], maps: Maps | None
) -> tuple[Path, ...]:
    """Writes ``ranked-1.png`` and so on; with ``maps``, each image has its activation map below it."""
    rows = [_row(each, album, maps) for each in lists]
    return tuple(
        draw_ranked_lists(rows[start : start + LISTS], out / f"ranked-{start // LISTS + 1}.png", footer)
        for start in range(0, len(rows), LISTS)
    )


def draw_maps(out: Path, queries: Sequence[int], album: Album, footer: Sequence[str], maps: Maps) -> tuple[Path, ...]:
    """Writes ``activations-1.png`` and so on."""
    tiles = [
        ActivationTile(album.pixels("query", place), strength, ", ".join(album.labels("query", place)))
        for place, strength in zip(queries, maps.of("query", queries), strict=True)
    ]
    return tuple(
        draw_activation_maps(tiles[start : start + MAPS], out / f"activations-{start // MAPS + 1}.png", footer)
        for start in range(0, len(tiles), MAPS)
    )


def heading(ranked: RankedList, album: Album) -> str:
    """``"person 12, camera 3: AP 4.2 %, first right answer at rank 37, beyond the 10 shown"``."""
    words = f"{', '.join(album.labels('query', ranked.query))}: "
    if ranked.first_rank is None:
        words += "no right answer in the gallery"
    else:
        words += f"AP {100 * ranked.ap:.1f} %, first right answer at rank {ranked.first_rank}"
        if ranked.first_rank > len(ranked.gallery):
            words += f", beyond the {len(ranked.gallery)} shown"
    return words


def list_facts(ranked: RankedList, album: Album) -> dict[str, Any]:
    """The contents of a list for JSON: files, labels, distances and which are right."""
    found = zip(ranked.gallery.tolist(), ranked.right.tolist(), ranked.distances.tolist(), strict=True)
    return {
        **_who(album, "query", ranked.query),
        "ap": ranked.ap,
        "first_right_rank": ranked.first_rank,
        "passed_over": ranked.passed_over,
        "gallery": [
            {**_who(album, "gallery", place), "right": right, "distance": distance} for place, right, distance in found
        ],
    }


def _who(album: Album, side: Side, place: int) -> dict[str, Any]:
    images = getattr(album, side)
    return {
        "file": album.file(side, place),
        "person": album.person(int(images.pids[place])),
        "camera": album.camera(int(images.camids[place])) or None,
    }


def _row(ranked: RankedList, album: Album, maps: Maps | None) -> ListRow:
    gallery = ranked.gallery.tolist()
    found = zip(gallery, _layers(album, "gallery", gallery, maps), ranked.right, ranked.distances, strict=True)
    (layers,) = _layers(album, "query", [ranked.query], maps)
    return ListRow(
        ListTile(layers, album.labels("query", ranked.query)),
        tuple(
            ListTile(layers, album.labels("gallery", place), bool(right), float(distance))
            for place, layers, right, distance in found
        ),
        heading(ranked, album),
    )


def _layers(album: Album, side: Side, places: Sequence[int], maps: Maps | None) -> list[tuple[np.ndarray, ...]]:
    photographs = [album.pixels(side, place) for place in places]
    if maps is None or not photographs:
        return [(pixels,) for pixels in photographs]
    both = zip(photographs, maps.of(side, places), strict=True)
    return [(pixels, overlay(pixels, strength)) for pixels, strength in both]
