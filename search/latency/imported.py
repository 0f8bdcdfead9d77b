"""Latency tables of other machines: made from the times that a kit's program wrote, and read back for a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError, nearest
from reid.files import read_json
from search.costs import CostTable
from search.latency.device import Device, device_name
from search.latency.kit.times import Times, read_times
from search.latency.parts import NULL, parts_of, space_parts
from search.latency.store import FORM, Store, arch_of, name_of, read_measured, store_path
from search.latency.table import LatencyTable, build_table, table_of
from search.latency.targets import EXAMPLES, is_local, parse_target
from supernet.arch import Arch
from supernet.space import Space


def import_times(
    path: Path, space: Space, name: str, folder: Path, replace: bool = True, called: str | None = None
) -> tuple[LatencyTable, Times]:
    """Makes the times in ``path`` the table of ``space`` on the machine ``name``, under ``folder``; returns both.

    An existing table is replaced. A ``space`` of another input size is taken at the kit's.

    Args:
        called: see ``check_target``.

    Raises:
        UserError: see ``read_times``; the kit was of another space, or the space has changed since; there can be no
            such name; or there is a table of other times, and ``replace`` is not set.
    """
    times, own = read_times(path), device_name(name)
    if times.space != space.name:
        raise UserError(f"{path} has the times of space {times.space}, not of {space.name}; give --space {times.space}")
    space = space if space.input_size == times.input_size else space.at(times.input_size)
    store = Store(store_path(folder, space, own), {"target": own, "machine": times.machine}, dict(times.times))
    if not replace and store.is_other():
        raise UserError(
            f"{own} already has a table of space {space.name}, with other times; give another name with --as, or "
            "replace it with --replace (a search that was started with it can then not be resumed)"
        )
    table = _table(store, space, times.target, times.fitted, times.checked, called)
    extra = {
        "space": space.name,
        "input_size": list(space.input_size),
        "measured_as": times.target,
        "clock": times.clock,
        "fitted": [name_of(arch) for arch in times.fitted],
        "checked": [name_of(arch) for arch in times.checked],
    }
    store.save({**extra, "correction": vars(table.correction)})
    return table, times


def open_table(
    space: Space, name: str, folder: Path, *, costs: CostTable | None = None, called: str | None = None
) -> LatencyTable:
    """The table of ``space``, at its input size, on the target ``name``.

    For a target of this machine, times missing from ``folder`` are measured; for another machine, nothing is.

    Args:
        called: see ``check_target``.

    Raises:
        UserError: see ``build_table`` and ``check_target``; the other machine's table lacks parts of the space.
    """
    if is_local(name):
        return build_table(space, parse_target(name), folder, costs=costs)
    check_target(space, name, folder, called)
    own = device_name(name)
    path = store_path(folder, space, own)
    data = read_json(path, "import the machine's times again")
    try:
        if data["form"] != FORM or data["target"] != own:
            raise ValueError("it has another form or target")
        about = {"target": own, "machine": dict(data["machine"])}
        store = Store(path, about, read_measured(data["times"]))
        fitted, checked = (list(map(arch_of, data[kind])) for kind in ("fitted", "checked"))
        return _table(store, space, data["measured_as"], fitted, checked, called)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"latency table {path} cannot be used ({error}); import the machine's times again") from None


def check_target(space: Space, name: str, folder: Path, called: str | None = None) -> None:
    """Raises UserError if ``name`` is not a target of this machine and ``folder`` has no table of it for ``space``.

    Args:
        called: the user's ``--space``, for the message; the space's name by default.
    """
    if is_local(name):
        return
    own, known = str(name).strip().lower(), devices(folder)
    if own not in known:
        hint = nearest(own, [*EXAMPLES, *known]) or f"; known: {', '.join([*EXAMPLES, *known])}"
        raise UserError(
            f"latency target '{name}' is unknown{hint}; for another machine, make a kit: {_kit(space, called)}"
        )
    if not store_path(folder, space, own).exists():
        height, width = space.input_size
        raise UserError(
            f"{own} has no latencies of space {space.name} at {height}x{width}; make a kit: {_kit(space, called)}"
        )


def devices(folder: Path) -> list[str]:
    """Names of other machines that have tables under ``folder``."""
    names = set()
    for path in sorted(folder.glob("*.json")):
        try:
            name = read_json(path)["target"]
        except (UserError, KeyError, TypeError):
            continue
        names |= {name} if isinstance(name, str) and not is_local(name) else set()
    return sorted(names)


def _kit(space: Space, called: str | None = None) -> str:
    height, width = space.input_size
    size = "" if space.smaller_sizes else f" --size {height}x{width}"  # which would leave the others out
    return f"python tools/latency.py --space {called or space.name}{size} --kit kit"


def _table(
    store: Store, space: Space, runs_by: str, fitted: Sequence[Arch], checked: Sequence[Arch], called: str | None
) -> LatencyTable:
    whole = [part for arch in (*fitted, *checked) for part in parts_of(arch)]
    parts = list(dict.fromkeys([*space_parts(space), *whole]))
    missing = sum(name_of(what) not in store.times for what in (NULL, *parts, *fitted, *checked))
    if missing:
        of = f"{missing} of {len(parts)} parts of space {space.name}"
        raise UserError(f"{of} were not measured on {store.about['target']}; make a kit: {_kit(space, called)}")
    times = {arch: store.times[name_of(arch)].least_ms for arch in checked}
    device = Device(store.about["target"], store.about["machine"], times)
    return table_of(store, parse_target(runs_by), parts, fitted, device)
