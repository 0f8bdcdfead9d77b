"""Reads values from the mapping of a YAML file or a header; refuses a wrong form by naming its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid.errors import UserError

MOST = 100_000
"""No channels, blocks, filters or pixels of a network come near it; a number beyond it is a typing error, which would
take all memory."""


def list_of(data: Mapping, key: str) -> Sequence:
    """``data[key]``; raises UserError naming the key if it is not a list, KeyError if it is missing."""
    if not isinstance(data[key], list | tuple):
        raise UserError(f"{key}: must be a list (given: {data[key]})")
    return data[key]


def whole_numbers(data: Mapping, key: str) -> tuple[int, ...]:
    """The list ``data[key]``; raises UserError naming the key where it holds anything but whole numbers."""
    if not all(map(is_whole, list_of(data, key))):
        raise UserError(f"{key}: must be a list of whole numbers of at most {MOST} (given: {data[key]})")
    return tuple(data[key])


def whole_number(data: Mapping, key: str) -> int:
    """``data[key]``; raises UserError naming the key if it is not a whole number."""
    if not is_whole(data[key]):
        raise UserError(f"{key}: must be a whole number of at most {MOST} (given: {data[key]})")
    return data[key]


def booleans(data: Mapping, key: str) -> tuple[bool, ...]:
    """The list ``data[key]``; raises UserError naming the key where it holds anything but true and false."""
    if not all(isinstance(value, bool) for value in list_of(data, key)):
        raise UserError(f"{key}: must be a list of true and false (given: {data[key]})")
    return tuple(data[key])


def texts(data: Mapping, key: str) -> tuple[str, ...]:
    """The list ``data[key]``; raises UserError naming the key where it holds anything but words."""
    if not all(isinstance(value, str) for value in list_of(data, key)):
        raise UserError(f"{key}: must be a list of words (given: {data[key]})")
    return tuple(data[key])


def is_whole(value: object) -> bool:
    """Whether ``value`` is a whole number, not beyond ``MOST``; ``True`` is not one."""
    return isinstance(value, int) and not isinstance(value, bool) and value <= MOST
