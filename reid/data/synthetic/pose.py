"""Where the joints of a walking person are, and where a camera sees them.

Body coordinates: ``x`` to the person's left, ``y`` to the front, ``z`` up, in body heights, from the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid.data.synthetic.person import Person

Joint = tuple[float, float, float]


@dataclass(frozen=True)
class Stage:
    """How the person stands before the camera.

    Attributes:
        yaw: direction of the person in radians, 0 towards the camera.
        pitch: how far the camera looks down, in radians.
        x, y: the pixel between the feet.
        scale: pixels per body height.
    """

    yaw: float
    pitch: float
    x: float
    y: float
    scale: float

    def project(self, joint: Joint) -> tuple[float, float]:
        """The pixel of a joint (parallel projection)."""
        side = joint[0] * np.cos(self.yaw) + joint[1] * np.sin(self.yaw)
        down = self.depth(joint) * np.sin(self.pitch) - joint[2] * np.cos(self.pitch)
        return float(self.x + self.scale * side), float(self.y + self.scale * down)

    def depth(self, joint: Joint) -> float:
        """How much nearer to the camera than the body's axis, in body heights."""
        return float(joint[1] * np.cos(self.yaw) - joint[0] * np.sin(self.yaw))

    def extent(self, across: float, deep: float) -> float:
        """Half width in pixels of an upright elliptical part with these half axes in body heights."""
        return float(self.scale * np.hypot(across * np.cos(self.yaw), deep * np.sin(self.yaw)))


@dataclass(frozen=True)
class Leg:
    hip: Joint
    knee: Joint
    ankle: Joint
    toe: Joint


@dataclass(frozen=True)
class Arm:
    shoulder: Joint
    elbow: Joint
    hand: Joint


@dataclass(frozen=True)
class Pose:
    """Joints of one moment; pairs are (person's right, person's left)."""

    hip: float
    shoulder: float
    legs: tuple[Leg, Leg]
    arms: tuple[Arm, Arm]


def _swing(start: Joint, length: float, angle: float, aside: float = 0.0) -> Joint:
    return (start[0] + aside * length, start[1] + length * np.sin(angle), start[2] - length * np.cos(angle))


def walk(person: Person, phase: float, rng: np.random.Generator) -> Pose:
    """The pose at ``phase`` (radians) of the walking cycle; arms swing against the legs."""
    hip, shoulder = person.legs, 0.81
    legs, arms = [], []
    for side in (-1, 1):
        swing = person.stride * np.sin(phase + (np.pi if side > 0 else 0)) + rng.normal(0, 0.04)
        bend = 0.1 + 0.5 * max(0.0, float(np.cos(phase + (np.pi if side > 0 else 0))))
        joint = (side * 0.052 * person.build, 0.0, hip)
        knee = _swing(joint, hip * 0.48, swing + 0.3 * bend)
        ankle = _swing(knee, hip * 0.44, swing - 0.7 * bend)
        legs.append(Leg(joint, knee, ankle, (ankle[0] + side * 0.012, ankle[1] + 0.075, ankle[2] - 0.015)))
        carries = person.bag == "handbag" and side == person.bag_side
        raised = rng.random() < 0.08 and not carries
        swing_arm = 0.05 if carries else -0.85 * swing + rng.normal(0, 0.08)
        start = (side * 0.118 * person.build * person.shoulders, 0.0, shoulder - 0.02)
        elbow = _swing(start, 0.17, swing_arm, aside=side * 0.12)
        # A raised forearm holds a telephone.
        forearm = 2.3 if raised else swing_arm + (0.05 if carries else 0.3 + 0.2 * rng.random())
        arms.append(Arm(start, elbow, _swing(elbow, 0.17, forearm, aside=side * 0.03)))
    return Pose(hip, shoulder, (legs[0], legs[1]), (arms[0], arms[1]))
