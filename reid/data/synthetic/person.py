"""Who a synthetic pedestrian is: the attributes that stay the same under every camera.

Identities are drawn in look-alike groups of ``GROUP``: all members of a group wear the same colours, so that
colour alone cannot tell them apart; they differ by pattern, cut, bag, hair and proportions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Color = tuple[float, float, float]

GROUP = 6
"""Identities that share the colours of their clothes."""

SKIN: tuple[Color, ...] = ((0.93, 0.76, 0.65), (0.85, 0.65, 0.52), (0.70, 0.50, 0.38), (0.47, 0.32, 0.24))
HAIR: tuple[Color, ...] = (
    (0.09, 0.08, 0.08),
    (0.25, 0.16, 0.10),
    (0.48, 0.32, 0.17),
    (0.80, 0.66, 0.38),
    (0.6, 0.6, 0.6),
)
CLOTH: tuple[Color, ...] = (
    (0.13, 0.13, 0.15),
    (0.90, 0.89, 0.86),
    (0.52, 0.53, 0.55),
    (0.16, 0.22, 0.42),
    (0.70, 0.16, 0.17),
    (0.22, 0.44, 0.30),
    (0.85, 0.68, 0.25),
    (0.38, 0.58, 0.78),
    (0.80, 0.50, 0.56),
    (0.48, 0.35, 0.25),
)
BOTTOM: tuple[Color, ...] = ((0.12, 0.12, 0.14), (0.20, 0.26, 0.40), (0.42, 0.41, 0.40), (0.62, 0.54, 0.42))
SHOES: tuple[Color, ...] = ((0.1, 0.1, 0.1), (0.88, 0.88, 0.88), (0.40, 0.25, 0.16), (0.65, 0.15, 0.18))

PATTERNS = (
    "plain",
    "stripes",
    "pinstripes",
    "checks",
    "block",
    "halves",
    "yoke",
    "logo",
    "backprint",
    "open",
    "sash",
    "dots",
)
HAIRSTYLES = ("short", "bald", "long", "ponytail", "bun", "cap", "hood")
BOTTOMS = ("trousers", "shorts", "skirt", "long skirt")
BAGS = ("none", "backpack", "shoulder bag", "handbag")


@dataclass(frozen=True)
class Person:
    """One identity. Lengths are fractions of the body height; colours are RGB in 0..1.

    Attributes:
        build: width of the trunk and the limbs, 1 for the average.
        legs: height of the hip joint.
        shoulders: width of the shoulders against the hips, 1 for the average.
        head: size of the head, 1 for the average.
        pattern: one of ``PATTERNS``; ``main`` and ``accent`` are its colours, ``count`` its repeats.
        sleeves: 0 for none, 0.5 for short, 1 for long.
        contrast_sleeves: the sleeves have the accent colour.
        hem: how far the top reaches below the hip.
        bag_side: -1 or 1, the shoulder or hand that carries.
        stride: swing of the legs in walking, radians.
    """

    build: float
    legs: float
    shoulders: float
    head: float
    skin: Color
    hair: Color
    hairstyle: str
    glasses: bool
    beard: bool
    main: Color
    accent: Color
    pattern: str
    count: int
    sleeves: float
    contrast_sleeves: bool
    hem: float
    bottom: str
    bottom_color: Color
    side_stripe: bool
    shoes: Color
    boots: bool
    bag: str
    bag_color: Color
    bag_side: int
    stride: float


@lru_cache(maxsize=1024)
def draw_person(seed: int, identity: int) -> Person:
    """The person with number ``identity`` in the world ``seed``; those of a group share their colours."""
    group = np.random.default_rng(np.random.SeedSequence((seed, 1, identity // GROUP)))
    main = CLOTH[group.integers(len(CLOTH))]
    # The two colours differ in brightness, or the pattern could not be seen.
    accent = CLOTH[group.choice([i for i, c in enumerate(CLOTH) if abs(sum(c) - sum(main)) > 0.45])]
    bottom_color = BOTTOM[group.integers(len(BOTTOM))]
    rng = np.random.default_rng(np.random.SeedSequence((seed, 2, identity)))
    # Members of a group take different patterns: a pattern is what a network has to learn to see.
    patterns = group.permutation(len(PATTERNS))
    bag = BAGS[rng.choice(len(BAGS), p=(0.34, 0.28, 0.2, 0.18))]
    return Person(
        build=float(rng.uniform(0.82, 1.25)),
        legs=float(rng.uniform(0.455, 0.53)),
        shoulders=float(rng.uniform(0.9, 1.15)),
        head=float(rng.uniform(0.92, 1.1)),
        skin=SKIN[rng.integers(len(SKIN))],
        hair=HAIR[rng.choice(len(HAIR), p=(0.35, 0.3, 0.15, 0.12, 0.08))],
        hairstyle=HAIRSTYLES[rng.choice(len(HAIRSTYLES), p=(0.34, 0.06, 0.2, 0.14, 0.08, 0.1, 0.08))],
        glasses=bool(rng.random() < 0.2),
        beard=bool(rng.random() < 0.15),
        main=main,
        accent=accent,
        pattern=PATTERNS[patterns[identity % GROUP]],
        count=int(rng.integers(3, 8)),
        sleeves=float(rng.choice((0.0, 0.5, 1.0), p=(0.08, 0.42, 0.5))),
        contrast_sleeves=bool(rng.random() < 0.25),
        hem=float(rng.choice((0.0, 0.05, 0.16), p=(0.4, 0.4, 0.2))),
        bottom=BOTTOMS[rng.choice(len(BOTTOMS), p=(0.56, 0.2, 0.15, 0.09))],
        bottom_color=bottom_color,
        side_stripe=bool(rng.random() < 0.2),
        shoes=SHOES[rng.integers(len(SHOES))],
        boots=bool(rng.random() < 0.2),
        bag=bag,
        bag_color=CLOTH[rng.integers(len(CLOTH))],
        bag_side=int(rng.choice((-1, 1))),
        stride=float(rng.uniform(0.3, 0.55)),
    )
