"""Valid options of a search dimension, and their order.

Options go from cheap to expensive: moving any choice to its next option never lowers the FLOPs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid.errors import UserError
from supernet.layers.activations import ACTIVATIONS

OFF_ON = (False, True)
ORDERED: dict[str, tuple] = {
    "se": OFF_ON,
    "ibn": OFF_ON,
    "transition": OFF_ON,
    "act": ACTIVATIONS,
    "last_stride": (2, 1),
}
"""Every option of the choices that are not plain numbers, cheapest first."""

Option = int | str
"""A width, depth, kernel, expansion or stride, hidden channels or streams; ``True`` or ``False``; the name of an
activation; an input size such as ``"256x128"``."""

Genome = dict[str, Option]
"""The option chosen for each dimension, by the dimension's name, in the order of ``Space.dimensions``."""


def chosen(genome: Mapping[str, Option], name: str, options: Sequence[Option]) -> Option:
    """The genome's option for ``name``, or the only option, which a genome need not name."""
    return genome[name] if len(options) > 1 else options[0]


def size_words(size: tuple[int, int]) -> str:
    """``(256, 128)`` as ``"256x128"``, the name of an input size in a genome."""
    return "{}x{}".format(*size)


def check_options(space: str, name: str, options: Sequence) -> None:
    """Raises UserError if ``options`` are not valid for the dimension ``name`` (see ``Space.dimensions``)."""
    kind = name.rpartition(".")[2]
    if kind in ORDERED:
        places = [ORDERED[kind].index(option) for option in options if option in ORDERED[kind]]
        if not places or len(places) < len(options) or places != sorted(set(places)):
            known = ", ".join(map(_word, ORDERED[kind]))
            given = ", ".join(map(_word, options))
            raise UserError(
                f"space {space}: choices of {name} must be some of [{known}] in this order (given: [{given}])"
            )
        return
    if not options or list(options) != sorted(set(options)):
        raise UserError(f"space {space}: choices of {name} must be ascending, without repeats (given: {list(options)})")
    lowest = 0 if name == "last_width" else 1
    odd = kind in ("kernel", "stem_kernel")
    if options[0] < lowest or (odd and any(option % 2 == 0 for option in options)):
        wanted = f"{'odd numbers' if odd else 'numbers'} of at least {lowest}"
        raise UserError(f"space {space}: {list(options)} are not valid choices of {name}; give {wanted}")


def check_sizes(space: str, sizes: Sequence[tuple[int, int]]) -> None:
    """Raises UserError if input sizes do not ascend: neither side may shrink, so that no feature map does."""
    for size in sizes:
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"space {space}: input_size {list(size)}: must be (height, width) in pixels")
    for smaller, larger in zip(sizes, sizes[1:], strict=False):
        if smaller == larger or smaller[0] > larger[0] or smaller[1] > larger[1]:
            given = ", ".join(map(size_words, sizes))
            raise UserError(
                f"space {space}: input sizes must ascend in height and width, without repeats (given: {given})"
            )


def _word(option: Option) -> str:
    return str(option).lower() if isinstance(option, bool) else str(option)
