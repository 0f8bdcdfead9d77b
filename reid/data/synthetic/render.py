"""One picture: a person, seen by a camera, cut out by an imperfect detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.data.synthetic.background import backdrop
from reid.data.synthetic.camera import Camera, develop, draw_camera
from reid.data.synthetic.figure import paint_person
from reid.data.synthetic.paint import Light, darken
from reid.data.synthetic.person import Person, draw_person
from reid.data.synthetic.pose import Stage, walk

STRANGERS = 1_000_000
"""Persons from this number on only walk through the pictures of others."""


@dataclass(frozen=True)
class Box:
    """The errors of the detector: the offset of the box, in image sizes, and the size of the person."""

    dx: float
    dy: float
    scale: float


def good_box(rng: np.random.Generator) -> Box:
    """A box such as a detector mostly gives: the person is in it, with a margin that may lie on any side.

    Few boxes cut a foot or the hair. A network that finds the person copes with it; a fixed weight for each
    pixel does not.
    """
    scale = rng.uniform(0.74, 1.02)
    slack = 0.5 * (1 - scale) + 0.02
    return Box(float(rng.uniform(-0.17, 0.17)), float(rng.uniform(-slack, slack)), float(scale))


def junk_box(rng: np.random.Generator) -> Box:
    """A box that misses most of the person."""
    side, up = rng.choice((-1, 1)), rng.choice((-1, 1))
    return Box(float(side * rng.uniform(0.3, 0.55)), float(up * rng.uniform(0.2, 0.5)), float(rng.uniform(0.7, 1.6)))


def render_person(
    seed: int,
    identity: int,
    camera: int,
    shot: int,
    size: tuple[int, int] = (128, 64),
    junk: bool = False,
) -> np.ndarray:
    """The picture number ``shot`` of a person under a camera.

    Args:
        seed: the world; the other numbers are counted within it.
        identity: number of the person, 0 or greater.
        camera: number of the camera, from 1.
        shot: number of the picture; shots of one camera show the same walk through its scene.
        size: height and width in pixels.
        junk: whether the box misses most of the person.

    Returns:
        ``(H, W, 3) uint8`` RGB. The same arguments give the same pixels.
    """
    person, view = draw_person(seed, identity), draw_camera(seed, camera)
    track = np.random.default_rng(np.random.SeedSequence((seed, 5, identity, camera)))
    place, lane = float(track.uniform(0, 1)), float(track.normal(0, 0.5))
    course = view.yaw + lane + (np.pi if track.random() < 0.25 else 0.0)
    rng = np.random.default_rng(np.random.SeedSequence((seed, 6, identity, camera, shot, int(junk))))
    canvas = backdrop(seed, view, place, size, rng)
    stage = _stage(view, course + rng.normal(0, 0.25), junk_box(rng) if junk else good_box(rng), size)
    light = _light(view.light, rng)
    _shadow(canvas, stage, light)
    companion = rng.random()
    stranger = draw_person(seed, STRANGERS + int(rng.integers(100)))
    if companion < 0.16:
        _paint_stranger(canvas, stranger, stage, light, rng, in_front=False)
    paint_person(canvas, person, walk(person, rng.uniform(0, 2 * np.pi), rng), stage, light)
    if companion > 0.94:
        _paint_stranger(canvas, stranger, stage, light, rng, in_front=True)
    elif companion > 0.84:
        _obstacle(canvas, rng)
    if rng.random() < 0.2:
        _cast_shade(canvas, rng)
    return develop(canvas, view, rng)


def _stage(view: Camera, yaw: float, box: Box, size: tuple[int, int]) -> Stage:
    height, width = size
    # The box is as high as the person, with a margin: a detector cuts boxes by what it sees.
    scale = 0.92 * height * view.scale * box.scale / np.cos(view.pitch)
    return Stage(
        yaw=float(yaw),
        pitch=view.pitch,
        x=width * (0.5 + box.dx),
        y=height * (0.5 + box.dy) + 0.48 * scale * np.cos(view.pitch),
        scale=float(scale),
    )


def _light(light: Light, rng: np.random.Generator) -> Light:
    return Light(light.azimuth + rng.normal(0, 0.3), light.ambient * rng.uniform(0.85, 1.15), light.diffuse)


def _shadow(canvas: np.ndarray, stage: Stage, light: Light) -> None:
    """The shadow of the person on the ground, away from the light."""
    reach = 0.16 * stage.scale
    darken(canvas, (stage.x - reach * np.sin(light.azimuth), stage.y), (1.5 * reach, 0.45 * reach), light.diffuse)


def _paint_stranger(
    canvas: np.ndarray, person: Person, stage: Stage, light: Light, rng: np.random.Generator, in_front: bool
) -> None:
    """Somebody else who walks behind or partly in front."""
    side = rng.choice((-1, 1))
    offset = rng.uniform(0.24, 0.36) if in_front else rng.uniform(0.15, 0.4)
    grown = rng.uniform(1.0, 1.15) if in_front else rng.uniform(0.7, 0.95)
    drop = 0.04 if in_front else -0.06
    other = Stage(
        yaw=float(rng.uniform(0, 2 * np.pi)),
        pitch=stage.pitch,
        x=float(stage.x + side * offset * stage.scale),
        y=stage.y + drop * stage.scale,
        scale=float(stage.scale * grown),
    )
    paint_person(canvas, person, walk(person, rng.uniform(0, 2 * np.pi), rng), other, light)


def _obstacle(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """A pole, a bin or a low wall between the camera and the person."""
    height, width = canvas.shape[:2]
    kind = rng.integers(3)
    color = rng.uniform(0.1, 0.7, 3).astype(np.float32)
    color = 0.5 * (color + color.mean())
    left = int(rng.uniform(0, 0.8) * width)
    if kind == 0:
        canvas[:, left : left + max(2, int(rng.uniform(0.07, 0.16) * width))] = color
    elif kind == 1:
        canvas[int(rng.uniform(0.55, 0.8) * height) :, left : left + int(rng.uniform(0.25, 0.55) * width)] = color
    else:
        top = int(rng.uniform(0.68, 0.85) * height)
        canvas[top:] = color * (0.85 + 0.15 * np.sign(np.sin(np.arange(width) * 0.9))).astype(np.float32)[:, None]


def _cast_shade(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """The shadow of a building or a tree over a part of the picture."""
    height, width = canvas.shape[:2]
    x, y = np.arange(width) / width, np.arange(height) / height
    edge = (y[:, None] - rng.uniform(0.2, 0.8)) * rng.choice((-1, 1)) + rng.normal(0, 0.5) * (x[None, :] - 0.5)
    canvas *= (1 - rng.uniform(0.25, 0.5) * np.clip(edge * 12 + 0.5, 0, 1))[..., None].astype(np.float32)
