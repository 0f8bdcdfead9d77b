"""Configuration of a synthetic set."""

from __future__ import annotations

from dataclasses import dataclass

from reid.errors import UserError
from reid.numbers import GREATEST_SEED


@dataclass(frozen=True)
class SyntheticConfig:
    """The synthetic set to make.

    Attributes:
        train_identities: persons to train on, numbered from 1.
        test_identities: other persons, numbered on from there, in query and gallery.
        distractors: gallery boxes of persons who are in no other picture (``0000``).
        junk: gallery boxes that do not catch a whole person (``-1``).
        images_per_camera: pictures of a person under one camera; of a test person one is the query.
        cameras: cameras, 2 to 9. A person appears under all but at most two of them.
        size: height and width in pixels.
        seed: number of the world: other persons, other cameras.

    Raises:
        UserError: a number is out of its range.
    """

    train_identities: int = 96
    test_identities: int = 64
    distractors: int = 100
    junk: int = 40
    images_per_camera: int = 3
    cameras: int = 6
    size: tuple[int, int] = (128, 64)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(self.size))
        for name, low, high in (
            ("train_identities", 1, 9000),
            ("test_identities", 1, 9000),
            ("distractors", 0, 100_000),
            ("junk", 0, 100_000),
            ("images_per_camera", 2, 99),
            ("cameras", 2, 9),
            ("seed", 0, GREATEST_SEED),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"synthetic set: {name}={value!r}; give a whole number from {low} to {high}")
        if self.train_identities + self.test_identities > 9999:
            raise UserError(
                "synthetic set: more than 9999 identities, but file names have four digits for them; lower "
                "train_identities or test_identities"
            )
        if len(self.size) != 2 or not all(isinstance(v, int) and 16 <= v <= 1024 for v in self.size):
            raise UserError(f"synthetic set: size={self.size!r}; give height and width, each from 16 to 1024")
