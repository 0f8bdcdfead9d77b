"""The latency table that a search used, for other archs under the same limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reid.errors import UserError
from reid.files import expecting
from search.costs import CostTable
from search.folder import CURE, SUMMARY, read_summary
from search.latency import build_table, is_local, open_table, parse_target
from search.latency.device import device_name
from search.latency.store import open_store, store_path
from supernet.arch import Arch
from supernet.space import Space
from tools.jobs.latency.job import latency_folder
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256


def searched_latency(
    run: Path, target: str, space: Space, costs: CostTable, called: str, cure: str
) -> Callable[[Arch], float]:
    """Predicts ms by exactly the table that the search in ``run`` used; measures nothing.

    Args:
        target: of the search.
        space: at the input size at which costs are counted.
        called: the search's name in messages.
        cure: the end of messages.

    Raises:
        UserError: the table is not available, has been extended since, or is of another machine.
    """
    folder, local = latency_folder(), is_local(target)
    path = store_path(folder, space, parse_target(target).name if local else device_name(target))
    summary = read_summary(run)
    with expecting(run / SUMMARY, CURE):
        digest = summary["run_origin"]["latency_table_sha256"]
    same = path.is_file() and sha256(path) == digest
    # A note means that its times do not apply to this machine.
    if not same or (local and open_store(path, parse_target(target)).note):
        raise UserError(
            f"{called} used a latency table that is no longer in {shown(path)}, or is from another machine; {cure}"
        )
    if local:
        return build_table(space, parse_target(target), folder, costs=costs, progress=False).latency
    return open_table(space, target, folder, costs=costs).latency
