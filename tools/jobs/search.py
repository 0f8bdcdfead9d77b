"""The job of ``tools/search.py``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaluation.pictures.search_progress import draw_search_progress
from reid.engine.device import describe_device
from reid.errors import UserError
from search.cost import CostTable, format_flops, parse_flops
from search.evaluator import SupernetEvaluator
from search.region import make_region
from search.run import SearchResult, run_search
from supernet.checkpoint import load_supernet
from supernet.files import load_space, space_to_dict
from supernet.space import Space, describe
from tools.cli import Job
from tools.jobs.data import describe as describe_images
from tools.jobs.data import open_source, search_data
from tools.jobs.opening import announce, shown
from tools.jobs.provenance import commit, sha256
from tools.jobs.train_supernet import WEIGHTS


def search(job: Job, supernet_run: Path, flops: str | None, strategy: str) -> SearchResult:
    """Searches the supernet in ``supernet_run`` under ``flops`` (``None``: the config's limit).

    Raises:
        UserError: there is no supernet, it is of another space than the config's, or the limit cannot be met in the
        space.
    """
    experiment, config = job.experiment, job.experiment.search
    space = load_space(experiment.space).at(experiment.input_size)
    limit = parse_flops(flops or config.flops)
    table = CostTable()
    make_region(space, limit, config.min_flops_fraction, config.cost_input_size, table)  # an impossible limit ends here
    weights = supernet_run / WEIGHTS
    if not weights.exists():
        raise UserError(
            f"no trained supernet at {weights}; run python tools/train_supernet.py first, "
            "or name its run with --supernet"
        )
    supernet = load_supernet(weights, job.device)
    _check_space(supernet.space, space, weights)
    source = open_source(experiment.data, job.data, space.input_size)
    images = search_data(source, experiment.data)
    held = f"{describe_images(images.query)} as query, {len(images.gallery)} images as gallery"
    cost_size = config.cost_input_size or space.input_size
    announce(
        f"searching in {shown(job.out)}",
        [
            ("note", source.notice),
            ("data", f"{source.dataset.name}, held-out identities: {held}"),
            ("network", f"{describe(space)}; supernet {shown(weights)}"),
            ("FLOPs", f"at most {format_flops(limit)} at {cost_size[0]}x{cost_size[1]}"),
            ("search", f"{strategy} by NNI, {config.trials} candidates, seed {job.seed}"),
            ("device", describe_device(job.device)),
        ],
    )
    evaluator = SupernetEvaluator(
        supernet, images.train, images.query, images.gallery, space.input_size, job.device, config, job.seed
    )
    origin = {
        "supernet": shown(weights),
        "supernet_sha256": sha256(weights),
        "dataset": source.dataset.name,
        "input_size": list(space.input_size),
        "commit": commit(),
    }
    result = run_search(
        space, evaluator, limit, config, strategy, job.out, job.seed, job.resume, origin=origin, table=table
    )
    draw_search_progress([dataclasses.asdict(each) for each in result.candidates], job.out / "search_progress.png")
    return result


def _check_space(trained: Space, wanted: Space, weights: Path) -> None:
    if trained == wanted:
        return
    old, new = space_to_dict(trained), space_to_dict(wanted)
    key = next(key for key in old if old[key] != new[key])
    raise UserError(
        f"{weights} is a supernet of another space: {key} is {old[key]} there and {new[key]} in space {wanted.name}; "
        "use the config it was trained with, or train again"
    )
