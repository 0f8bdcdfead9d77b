"""Written forms of archs: ``[expand, channels, blocks, stride]`` rows, and the mapping of an arch file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid.errors import UserError
from supernet.arch import Arch, Block, Stage
from supernet.files.reading import is_whole, list_of, whole_number, whole_numbers
from supernet.files.stage_forms import stage_from_dict, stage_to_dict


def arch_from_rows(
    rows: Sequence[Sequence[int]],
    *,
    input_size: tuple[int, int],
    stem: int = 32,
    last_width: int = 1280,
    embedding: int | None = None,
    kernel: int = 3,
) -> Arch:
    """An arch from ``[expand, channels, blocks, stride]`` rows, the form of the MobileNetV2 paper's table 2 and of
    MLR."""
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != 4 or not all(map(is_whole, row)) or row[2] < 1:
            raise UserError(f"arch row {row}: must be [expand, channels, blocks, stride] with at least 1 block")
    stages = tuple(
        Stage(width=channels, stride=stride, blocks=(Block(kernel, expand),) * blocks)
        for expand, channels, blocks, stride in rows
    )
    return Arch(tuple(input_size), stem, stages, last_width, embedding)


def mobilenet_v2(input_size: tuple[int, int] = (256, 128)) -> Arch:
    """MobileNetV2 at width 1.0 (Sandler et al. 2018, table 2)."""
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    return arch_from_rows(rows, input_size=input_size)


def arch_to_dict(arch: Arch) -> dict:
    """The arch as plain lists and numbers, in the order of an arch file; ``arch_from_dict`` reads it back equal."""
    return {
        "input_size": list(arch.input_size),
        "stem": arch.stem,
        **_stem(arch),
        "stages": [stage_to_dict(stage) for stage in arch.stages],
        "last_width": arch.last_width,
        "embedding": arch.embedding,
    }


def _stem(arch: Arch) -> dict:
    """The stem's keys that differ from their defaults; files written before there were other stems have none."""
    return {key: getattr(arch, key) for key in ("stem_kernel", "stem_pool") if getattr(arch, key) != getattr(Arch, key)}


def arch_from_dict(data: Mapping) -> Arch:
    """The arch that ``arch_to_dict`` wrote, or one in the short form with ``rows`` (see ``arch_from_rows``).

    Raises:
        UserError: a key is missing, unknown, or of the wrong form.
    """
    known = {"input_size", "stem", "stem_kernel", "stem_pool", "last_width", "embedding", "stages", "rows", "kernel"}
    unknown = sorted(str(key) for key in set(data) - known)
    if unknown:
        raise UserError(f"arch: unknown key '{unknown[0]}'; known: {', '.join(sorted(known))}")
    if ("rows" in data) == ("stages" in data):
        raise UserError("arch: give either 'stages' or 'rows' ([expand, channels, blocks, stride] per stage)")
    if "stages" in data and "kernel" in data:
        raise UserError("arch: 'kernel' belongs to 'rows'; give each of the stages its own 'kernels' instead")
    if "rows" in data and (of_stages := sorted({"stem_kernel", "stem_pool"} & set(data))):
        raise UserError(
            f"arch: '{of_stages[0]}' belongs to 'stages'; 'rows' always have MobileNetV2's stem, so leave it out"
        )
    try:
        size = whole_numbers(data, "input_size")
        embedding = None if data.get("embedding") is None else whole_number(data, "embedding")
        if "rows" in data:
            options = {key: whole_number(data, key) for key in ("stem", "last_width", "kernel") if key in data}
            return arch_from_rows(list_of(data, "rows"), input_size=size, embedding=embedding, **options)
        stages = tuple(stage_from_dict(stage) for stage in list_of(data, "stages"))
        stem = {"stem_kernel": whole_number(data, "stem_kernel")} if "stem_kernel" in data else {}
        stem |= {"stem_pool": data["stem_pool"]} if "stem_pool" in data else {}
        return Arch(size, whole_number(data, "stem"), stages, whole_number(data, "last_width"), embedding, **stem)
    except KeyError as missing:
        raise UserError(f"arch: key {missing} is missing") from None
