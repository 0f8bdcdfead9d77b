"""Ranges of numbers that the configurations share; none has a use for more than the greatest here, which torch and a
float32 still take, and a number beyond it is a typing error. What is measured has no such end."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

GREATEST = 10**9

Positive = Annotated[float, Field(gt=0, le=GREATEST, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=GREATEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=GREATEST)]
Several = Annotated[int, Field(ge=2, le=GREATEST)]
Whole = Annotated[int, Field(ge=0, le=GREATEST)]

Measured = Annotated[int, Field(ge=0)]
"""A number measured on a network, not set by a user: a ResNet-50 has 4 * 10**9 FLOPs."""

MOST_EPOCHS = 10**6

Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]

MOST_TRAINED = 1000

Trained = Annotated[int, Field(ge=1, le=MOST_TRAINED)]
"""Networks, or seeds of one, that a call trains. More are a typing error, and listing them would take all memory."""

GREATEST_SEED = 2**63 - 1
"""The greatest seed that torch takes."""

Seed = Annotated[int, Field(ge=0, le=GREATEST_SEED)]

SMALLEST_SIDE, LARGEST_SIDE = 16, 2048
"""Pixels of an image's side. Images of persons have a few hundred; far more are a typing error and take all memory."""

Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)]
