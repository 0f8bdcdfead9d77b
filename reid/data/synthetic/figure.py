"""Painting a person: the parts of the body from the farthest to the nearest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reid.data.synthetic import clothes
from reid.data.synthetic.paint import Light, paint
from reid.data.synthetic.person import Person
from reid.data.synthetic.pose import Arm, Joint, Leg, Pose, Stage


def paint_person(canvas: np.ndarray, person: Person, pose: Pose, stage: Stage, light: Light) -> None:
    """Paint the person on ``canvas (H, W, 3) float32`` in place."""
    # Depths order the parts; the trunk is 0. Legs come first: the top hangs over them.
    parts: list[tuple[float, Callable[[], None]]] = [(0.0, lambda: _trunk(canvas, person, pose, stage, light))]
    for arm in pose.arms:
        depth = stage.depth(arm.shoulder) + 0.5 * stage.depth(arm.hand)
        parts.append((depth + 0.02, lambda arm=arm: _arm(canvas, person, arm, stage, light)))
    parts.append((0.06, lambda: _head(canvas, person, stage, light)))
    if person.hairstyle in ("long", "ponytail", "bun"):
        # Behind the head, so before it unless the person is seen from behind.
        back = 0.01 if np.cos(stage.yaw) > -0.2 else 0.11
        parts.append((back, lambda: _loose_hair(canvas, person, stage, light)))
    if person.bag != "none":
        depth = stage.depth(_bag_center(person, pose))
        parts.append(
            (
                depth * (1.3 if person.bag == "backpack" else 1),
                lambda: _bag(canvas, person, pose, stage, light),
            )
        )
    for leg in sorted(pose.legs, key=lambda leg: stage.depth(leg.knee)):
        _leg(canvas, person, leg, stage, light)
    if person.bottom in ("skirt", "long skirt"):
        _skirt(canvas, person, pose, stage, light)
    for _, draw in sorted(parts, key=lambda part: part[0]):
        draw()


def _leg(canvas: np.ndarray, person: Person, leg: Leg, stage: Stage, light: Light) -> None:
    unit = stage.scale * person.build
    texture = clothes.leg(person)
    hip, knee, ankle, toe = (stage.project(joint) for joint in (leg.hip, leg.knee, leg.ankle, leg.toe))
    heel = stage.project((leg.ankle[0], leg.ankle[1] - 0.015, leg.ankle[2] - 0.015))
    loose = 1.0 if person.bottom in ("trousers", "shorts") else 0.8
    shoe = clothes.plain(person.shoes)
    paint(canvas, heel, toe, ((0, 0.024 * stage.scale), (1, 0.017 * stage.scale)), shoe, stage.yaw, light)
    lower = ((0, 0.039 * unit * loose), (0.35, 0.04 * unit * loose), (1, 0.024 * unit))
    paint(canvas, knee, ankle, lower, texture, stage.yaw, light, rows=(0.52, 1.0))
    upper = ((0, 0.06 * unit * loose), (1, 0.041 * unit * loose))
    paint(canvas, hip, knee, upper, texture, stage.yaw, light, rows=(0.0, 0.52))


def _skirt(canvas: np.ndarray, person: Person, pose: Pose, stage: Stage, light: Light) -> None:
    low = pose.hip * (0.5 if person.bottom == "skirt" else 0.16)
    top, bottom = stage.project((0, 0, pose.hip + 0.04)), stage.project((0, 0, low))
    waist = stage.extent(0.1 * person.build, 0.075 * person.build)
    stretch = max(abs(leg.knee[1]) for leg in pose.legs)
    hem = stage.extent(0.135 * person.build, 0.09 * person.build + 0.5 * stretch)
    paint(canvas, top, bottom, ((0, waist), (1, hem)), clothes.skirt(person), stage.yaw, light, rounded=False)


def _trunk(canvas: np.ndarray, person: Person, pose: Pose, stage: Stage, light: Light) -> None:
    neck = stage.project((0, 0.0, 0.90))
    throat = stage.project((0, 0, pose.shoulder))
    thickness = 0.036 * stage.scale
    paint(canvas, neck, throat, ((0, thickness), (1, thickness)), clothes.plain(person.skin), stage.yaw, light)
    top, bottom = stage.project((0, 0, 0.84)), stage.project((0, 0, pose.hip - person.hem))
    wide = stage.extent(0.125 * person.build * person.shoulders, 0.078 * person.build)
    hips = stage.extent(0.105 * person.build, 0.078 * person.build)
    outline = (
        (0, 0.4 * wide),
        (0.06, 0.78 * wide),
        (0.13, wide),
        (0.4, 0.93 * wide),
        (0.7, 0.5 * (0.82 * wide + hips)),
        (1, hips * (1 + person.hem)),
    )
    paint(canvas, top, bottom, outline, clothes.torso(person), stage.yaw, light, rounded=False)


def _arm(canvas: np.ndarray, person: Person, arm: Arm, stage: Stage, light: Light) -> None:
    unit = stage.scale * person.build
    texture = clothes.sleeve(person)
    shoulder, elbow, hand = (stage.project(joint) for joint in (arm.shoulder, arm.elbow, arm.hand))
    # A little darker than the trunk: the arm would vanish before it otherwise.
    dim = Light(light.azimuth, light.ambient * 0.86, light.diffuse)
    paint(canvas, elbow, hand, ((0, 0.029 * unit), (1, 0.02 * unit)), texture, stage.yaw, dim, rows=(0.5, 1.0))
    upper = ((0, 0.04 * unit), (1, 0.031 * unit))
    paint(canvas, shoulder, elbow, upper, texture, stage.yaw, dim, rows=(0.0, 0.5))


def _head(canvas: np.ndarray, person: Person, stage: Stage, light: Light) -> None:
    size = person.head
    top, chin = stage.project((0, 0.012, 0.93 + 0.07 * size)), stage.project((0, 0.012, 0.93 - 0.062 * size))
    wide = stage.extent(0.05 * size, 0.058 * size)
    oval = (
        (0, 0.35 * wide),
        (0.08, 0.66 * wide),
        (0.25, 0.95 * wide),
        (0.45, wide),
        (0.7, 0.9 * wide),
        (1, 0.5 * wide),
    )
    paint(canvas, top, chin, oval, clothes.head(person), stage.yaw, light, rounded=False)
    if person.hairstyle == "cap":
        temple, brim = stage.project((0, 0.04, 0.955)), stage.project((0, 0.10, 0.95))
        half = stage.extent(0.04, 0.012)
        paint(
            canvas,
            temple,
            brim,
            ((0, half * 0.5), (1, half * 0.4)),
            clothes.plain(person.bag_color),
            stage.yaw,
            light,
        )


def _loose_hair(canvas: np.ndarray, person: Person, stage: Stage, light: Light) -> None:
    texture = clothes.plain(person.hair)
    scale = stage.scale
    if person.hairstyle == "long":
        a, b = stage.project((0, -0.02, 0.96)), stage.project((0, -0.05, 0.77))
        wide = stage.extent(0.06 * person.head, 0.045 * person.head)
        outline = ((0.0, 0.8 * wide), (0.5, 1.05 * wide), (1.0, 0.9 * wide))
        paint(canvas, a, b, outline, texture, stage.yaw, light)
    elif person.hairstyle == "ponytail":
        a, b = stage.project((0, -0.06, 0.96)), stage.project((0, -0.10, 0.79))
        paint(
            canvas,
            a,
            b,
            ((0, 0.017 * scale), (0.4, 0.027 * scale), (1, 0.01 * scale)),
            texture,
            stage.yaw,
            light,
        )
    else:
        a, b = stage.project((0, -0.045, 0.985)), stage.project((0, -0.06, 0.965))
        paint(canvas, a, b, ((0, 0.03 * scale), (1, 0.03 * scale)), texture, stage.yaw, light)


def _bag_center(person: Person, pose: Pose) -> Joint:
    if person.bag == "backpack":
        return (0.0, -0.10 * person.build, 0.68)
    if person.bag == "shoulder bag":
        return (person.bag_side * 0.125 * person.build, 0.02, pose.hip + 0.02)
    return pose.arms[0 if person.bag_side < 0 else 1].hand


def _bag(canvas: np.ndarray, person: Person, pose: Pose, stage: Stage, light: Light) -> None:
    x, y, z = _bag_center(person, pose)
    texture = clothes.backpack(person)
    if person.bag == "backpack":
        half, wide = 0.125, stage.extent(0.095, 0.06)
        a, b = stage.project((x, y, z + half)), stage.project((x, y, z - half))
        outline = ((0, 0.6 * wide), (0.12, 0.9 * wide), (0.5, wide), (1, 0.95 * wide))
    elif person.bag == "shoulder bag":
        half, wide = 0.05, stage.extent(0.03, 0.075)
        a, b = stage.project((x, y, z + half)), stage.project((x, y, z - half))
        outline = ((0, wide), (1, 0.92 * wide))
    else:
        half, wide = 0.06, stage.extent(0.025, 0.08)
        a, b = stage.project((x, y, z - 0.03)), stage.project((x, y, z - 0.03 - 2 * half))
        outline = ((0, 0.75 * wide), (1, wide))
    paint(canvas, a, b, outline, texture, stage.yaw, light, rounded=False)
