"""The textures of body parts, unrolled: rows run along the part, columns around it.

A texture is ``(R, A, 3) float32``: row 0 is the upper end, column ``a`` the direction ``beta`` =
-pi + 2 pi a / A around the body's vertical axis, 0 pointing to the front and positive to the person's left.
So an open jacket is seen from the front only and the straps of a backpack run over the chest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reid.data.synthetic.person import Color, Person

ROWS, ANGLES = 48, 96


def grid(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """``t (rows, 1)`` in 0..1 along the part and ``beta (1, ANGLES)`` in -pi..pi around it."""
    t = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None]
    beta = (-np.pi + 2 * np.pi * np.arange(ANGLES, dtype=np.float32) / ANGLES)[None, :]
    return t, beta


def fill(color: Color, rows: int = ROWS) -> np.ndarray:
    return np.broadcast_to(np.asarray(color, np.float32), (rows, ANGLES, 3)).copy()


def pattern_mask(pattern: str, count: int) -> np.ndarray:
    """``(ROWS, ANGLES) bool``: where the accent colour of a top lies."""
    t, beta = grid()
    front, across = np.abs(beta), beta / np.pi
    everywhere = np.ones((ROWS, ANGLES), bool)
    masks = {
        "plain": ~everywhere,
        "stripes": (t * count) % 1 < 0.45,
        "pinstripes": (across * (count + 5)) % 1 < 0.35,
        "checks": ((t * (count + 1)) % 1 < 0.5) ^ ((across * (count + 3)) % 1 < 0.5),
        "block": t > 0.3 + 0.06 * count,
        "halves": (beta > 0) & everywhere,
        "yoke": t < 0.12 + 0.03 * count,
        "logo": (np.hypot((t - 0.35) * 2.6, np.minimum(front, np.pi - front)) < 0.45 + 0.04 * count) & everywhere,
        "backprint": (np.abs(t - 0.4) < 0.22) & (np.pi - front < 0.9 + 0.07 * count),
        "open": front < 0.3 + 0.06 * count,
        "sash": np.abs(t - 0.5 - 0.45 * np.sin(beta)) < 0.06 + 0.012 * count,
        "dots": np.hypot((t * (count + 1)) % 1 - 0.5, (across * (count + 3)) % 1 - 0.5) < 0.3,
    }
    return np.broadcast_to(masks[pattern], (ROWS, ANGLES))


@lru_cache(maxsize=512)
def torso(person: Person) -> np.ndarray:
    """Texture of the trunk from the neck to the hem, with the straps of the bag."""
    t, beta = grid()
    texture = fill(person.main)
    texture[pattern_mask(person.pattern, person.count)] = person.accent
    texture[np.broadcast_to((t < 0.07) & (np.abs(beta) < 0.5), texture.shape[:2])] = person.skin
    if person.bag == "backpack":
        texture[(np.abs(np.abs(beta) - 0.62) < 0.13) & (t < 0.55)] = person.bag_color
    if person.bag == "shoulder bag":
        strap = np.abs(t - 0.5 - 0.48 * person.bag_side * np.sin(beta)) < 0.04
        texture[strap] = person.bag_color
    return texture


@lru_cache(maxsize=512)
def sleeve(person: Person) -> np.ndarray:
    """Texture of a whole arm from the shoulder to the hand."""
    t, _ = grid()
    texture = fill(person.accent if person.contrast_sleeves else person.main)
    if person.pattern in ("stripes", "checks"):
        texture[np.broadcast_to((t * person.count * 1.2) % 1 < 0.45, texture.shape[:2])] = person.accent
    if person.pattern == "pinstripes":
        texture[pattern_mask("pinstripes", person.count)] = person.accent
    end = {0.0: 0.04, 0.5: 0.4, 1.0: 0.88}[person.sleeves]
    texture[np.broadcast_to(t > end, texture.shape[:2])] = person.skin
    return texture


@lru_cache(maxsize=512)
def leg(person: Person) -> np.ndarray:
    """Texture of a whole leg from the hip to the ankle."""
    t, beta = grid()
    texture = fill(person.bottom_color)
    if person.side_stripe:
        texture[np.broadcast_to(np.abs(np.abs(beta) - np.pi / 2) < 0.35, texture.shape[:2])] = person.accent
    bare = {"trousers": 1.0, "shorts": 0.48, "skirt": 0.1, "long skirt": 0.1}[person.bottom]
    texture[np.broadcast_to(t > bare, texture.shape[:2])] = person.skin
    if person.boots:
        texture[np.broadcast_to(t > 0.72, texture.shape[:2])] = person.shoes
    return texture


@lru_cache(maxsize=512)
def skirt(person: Person) -> np.ndarray:
    t, beta = grid()
    texture = fill(person.bottom_color)
    texture *= 0.9 + 0.1 * np.cos(beta * 10)[..., None]
    if person.side_stripe:
        texture[np.broadcast_to(np.abs(t - 0.88) < 0.06, texture.shape[:2])] = person.accent
    return texture


@lru_cache(maxsize=512)
def head(person: Person) -> np.ndarray:
    """Texture of the head from the crown to the chin: face in front, hair, cap or hood around it."""
    t, beta = grid()
    side = np.abs(beta)
    texture = fill(person.skin)
    hairline, nape = 0.3, 0.72
    if person.hairstyle == "bald":
        hair = np.zeros((ROWS, ANGLES), bool)
    else:
        hair = (t < hairline) | ((side > 1.15) & (t < (nape if person.hairstyle in ("short", "cap") else 0.95)))
    texture[hair] = person.hair
    face = (side < 0.9) & (t > hairline)
    if person.beard:
        texture[face & (t > 0.74)] = np.asarray(person.hair) * 0.9
    eyes = face & (np.abs(t - 0.5) < 0.05) & (np.abs(side - 0.4) < 0.17)
    texture[eyes] = (0.15, 0.1, 0.1)
    if person.glasses:
        texture[(np.abs(t - 0.5) < 0.07) & (side < 1.2)] = (0.08, 0.08, 0.08)
    if person.hairstyle == "cap":
        texture[np.broadcast_to(t < 0.36, hair.shape)] = person.bag_color
    if person.hairstyle == "hood":
        texture[(t < 0.26) | ((side > 0.85) & (t < 1.1))] = person.main
    return texture


@lru_cache(maxsize=512)
def backpack(person: Person) -> np.ndarray:
    t, beta = grid()
    texture = fill(person.bag_color)
    texture[(np.abs(t - 0.66) < 0.2) & (np.pi - np.abs(beta) < 0.9)] = np.asarray(person.bag_color) * 0.6
    texture[np.broadcast_to(t < 0.1, texture.shape[:2])] = np.asarray(person.bag_color) * 0.75
    return texture


@lru_cache(maxsize=256)
def plain(color: Color) -> np.ndarray:
    return fill(color, 4)
