"""Command line options that override a search's config, and the check that its limits can be met."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reid.config import build_config, config_to_dict
from search.config import SearchConfig, limits_of, parse_time
from search.costs import CostTable
from search.latency import check_target
from search.limits import Limits
from search.limits.region import check_cost_size, make_region
from supernet.space import Space
from tools.jobs.experiment import Experiment
from tools.jobs.job import Job
from tools.jobs.latency.job import latency_folder

LIMITS = ("flops", "latency", "parameters")

Option = str | int | float | Sequence[str] | None


def with_options(job: Job, **given: Option) -> Job:
    """The job with ``searched_by`` these options applied to its experiment."""
    return dataclasses.replace(job, experiment=searched_by(job.experiment, **given))


def searched_by(experiment: Experiment, **given: Option) -> Experiment:
    """The experiment with a search's options in place of the config's values; ``None`` stands for an option not given.

    Limits given as options replace all of the config's limits. ``time`` without ``trials`` also removes the config's
    trials. ``finalists`` is their number.

    Raises:
        UserError: the options are inconsistent with each other or with the config.
    """
    options = {name: value for name, value in given.items() if value is not None}
    if not options:
        return experiment
    values = config_to_dict(experiment.search)
    if any(name in options for name in LIMITS):
        values |= dict.fromkeys(LIMITS)
    if "time" in options:
        values["trials"] = None
    if "finalists" in options:
        options["finalists"] = {**values["finalists"], "count": options["finalists"]}
    config = build_config(SearchConfig, {**values, **options}, "search options")
    return dataclasses.replace(experiment, search=config)


def check_limits(
    space: Space, config: SearchConfig, table: CostTable | None = None, called: str | None = None
) -> Limits:
    """The config's limits, parsed; raises UserError if one is invalid or leaves nothing of ``space``, if there is no
    such target, or if costs are to be counted at one size but ``space`` has several.

    Limits on latency are not checked, since that takes a measurement. ``called`` is the space's name for ``--space``.
    """
    limits = limits_of(config)
    if config.time is not None:
        parse_time(config.time)
    check_cost_size(space, config.cost_input_size)
    if config.target is not None:
        check_target(space.at(config.cost_input_size), config.target, latency_folder(), called)
    if limits.flops is not None or limits.parameters is not None:
        known = Limits(flops=limits.flops, parameters=limits.parameters)
        make_region(space, known, config.min_flops_fraction, config.cost_input_size, table)
    return limits
