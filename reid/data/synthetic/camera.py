"""The effect of a camera on the picture: viewpoint, colours, sharpness and scene."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from reid.data.synthetic.paint import Light

SCENES = ("bricks", "lawn", "shop front", "road", "fence", "corridor")


@dataclass(frozen=True)
class Camera:
    """One camera, numbered from 1.

    Attributes:
        pitch: how far the camera looks down, radians.
        yaw: direction in which most people walk under it, radians; 0 is towards the camera.
        scale: size of the persons in their boxes, 1 for the average.
        gain: factors on R, G, B.
        gamma, saturation, contrast: tone curve.
        blur: radius of the Gaussian blur in pixels at a height of 128.
        noise: standard deviation of the sensor noise, of a range 0..1.
        quality: JPEG quality of the video stream.
        scene: one of ``SCENES``.
    """

    number: int
    pitch: float
    yaw: float
    scale: float
    gain: tuple[float, float, float]
    gamma: float
    saturation: float
    contrast: float
    light: Light
    blur: float
    noise: float
    quality: int
    scene: str


@lru_cache(maxsize=64)
def draw_camera(seed: int, number: int) -> Camera:
    """Camera ``number`` (from 1) of the world ``seed``; neighbours differ in scene and direction."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, 3, number)))
    warmth, tint = rng.uniform(-0.16, 0.16), rng.uniform(-0.07, 0.07)
    brightness = rng.uniform(0.8, 1.15)
    return Camera(
        number=number,
        pitch=float(rng.uniform(0.02, 0.4)),
        yaw=float((number * 0.38 % 1 + rng.uniform(-0.05, 0.05)) * 2 * np.pi),
        scale=float(rng.uniform(0.92, 1.06)),
        gain=(
            float(brightness * (1 + warmth)),
            float(brightness * (1 + tint)),
            float(brightness * (1 - warmth)),
        ),
        gamma=float(rng.uniform(0.8, 1.25)),
        saturation=float(rng.uniform(0.6, 1.15)),
        contrast=float(rng.uniform(0.75, 1.15)),
        light=Light(float(rng.uniform(-1.2, 1.2)), float(rng.uniform(0.45, 0.7)), float(rng.uniform(0.3, 0.5))),
        blur=float(rng.uniform(0.2, 0.8)),
        noise=float(rng.uniform(0.008, 0.025)),
        quality=int(rng.integers(50, 90)),
        scene=SCENES[(number - 1) % len(SCENES)],
    )


def develop(canvas: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """The scene ``(H, W, 3) float32`` in 0..1 as the camera's video shows it, ``(H, W, 3) uint8``.

    Exposure and white balance wander a little from shot to shot.
    """
    gain = np.asarray(camera.gain, np.float32) * rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)
    image = canvas * gain.astype(np.float32)
    grey = (image @ np.full(3, 1 / 3, np.float32))[..., None]
    image = grey + np.float32(camera.saturation) * (image - grey)
    image = np.clip(image, 0, 1) ** np.float32(camera.gamma * rng.uniform(0.9, 1.1))
    image = 0.5 + np.float32(camera.contrast) * (image - 0.5)
    image += np.float32(camera.noise) * rng.standard_normal(image.shape, dtype=np.float32)
    picture = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    blur = camera.blur * rng.uniform(0.6, 1.5) * canvas.shape[0] / 128
    picture = picture.filter(ImageFilter.GaussianBlur(blur))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=camera.quality)
    return np.asarray(Image.open(stream).convert("RGB"))
