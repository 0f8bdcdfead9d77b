"""The job of ``tools/train_supernet.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from evaluation.report.training import write_training_report
from reid.engine.batches import training_batches
from reid.engine.device import describe_device, seeded
from reid.engine.distributed import Processes, barrier, from_environment, process_group
from reid.engine.trainer import Monitor, fit
from search.cost import CostTable, flops_range, format_flops
from search.evaluator import SupernetEvaluator
from search.sampling import evenly_over_flops
from supernet.checkpoint import save_supernet
from supernet.files import load_space, space_to_dict
from supernet.genome import largest, smallest
from supernet.sampling import Draw, uniform
from supernet.space import Space, describe
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from tools.cli import Job
from tools.jobs.data import SearchData, open_source, search_data
from tools.jobs.data import describe as describe_images
from tools.jobs.facts import training_facts
from tools.jobs.opening import announce, recipe_lines, shown, tell_estimate
from tools.jobs.ownership import training_in
from tools.jobs.provenance import run_config

WEIGHTS = "supernet.safetensors"


def train_supernet(job: Job) -> Path:
    """Trains the supernet of the experiment's space on the training identities; returns the run folder.

    The run folder gets ``supernet.safetensors``, whose header holds the space, so that a search of another space is
    refused. Under ``torchrun`` its processes train one supernet together.

    Raises:
        UserError: data and settings do not fit; the run folder holds another run.
    """
    with process_group(from_environment(job.device)) as processes:
        return _train_supernet(dataclasses.replace(job, device=processes.device), processes)


def _train_supernet(job: Job, processes: Processes) -> Path:
    experiment = job.experiment
    space = load_space(experiment.space).at(experiment.input_size)
    if not processes.is_main:
        barrier(processes)  # the first process makes the synthetic set and the decoded cache for all
    source = open_source(experiment.data, job.data, space.input_size)
    images = search_data(source, experiment.data)
    recipe = experiment.supernet.recipe
    batches = training_batches(images.train, recipe, space.input_size, job.seed, job.device, processes)
    with seeded(job.seed):
        task = SupernetTask(
            Supernet(space, experiment.supernet.kernel_transforms),
            batches.classes,
            experiment.supernet,
            job.seed,
            _draw(experiment.supernet, space),
        )
    facts = training_facts(recipe, images.train, batches.per_epoch, (images.query, images.gallery), source)
    parts = {"data": experiment.data, "supernet": experiment.supernet}
    config = run_config(job, source, **parts) | {"space": space_to_dict(space)}
    with training_in(job, config, lambda: _announce(job, space, images, source, processes), processes):
        trained = fit(
            task,
            batches,
            recipe,
            job.out,
            job.device,
            monitor=Monitor(_monitor(job, space, images), "largest_mAP"),
            facts=facts,
            processes=processes,
            on_estimate=tell_estimate(job.device),
            title="supernet",
        )
        if processes.is_main:
            save_supernet(job.out / WEIGHTS, trained.supernet)
            write_training_report(job.out)
        barrier(processes)
    return job.out


def _draw(config: SupernetRecipe, space: Space) -> Draw:
    """What ``config.sampling.spread`` asks for."""
    return evenly_over_flops(space, CostTable()) if config.sampling.spread == "flops" else uniform(space)


def _announce(job: Job, space: Space, images: SearchData, source, processes: Processes) -> None:
    low, high = flops_range(space, CostTable())
    held = f"{describe_images(images.query)} as query and {len(images.gallery)} images as gallery"
    together = f", one of {processes.world_size} processes" if processes.several else ""
    announce(
        f"training a supernet in {shown(job.out)}",
        [
            ("note", source.notice),
            ("data", f"{source.dataset.name}: {describe_images(images.train)}; held out for the search: {held}"),
            ("network", describe(space)),
            ("FLOPs", f"{format_flops(low)} to {format_flops(high)}"),
            *recipe_lines(job.experiment.supernet.recipe),
            ("device", describe_device(job.device) + together),
        ],
    )


def _monitor(job: Job, space: Space, images: SearchData) -> Callable[[SupernetTask], dict[str, float]]:
    """mAP of the largest and the smallest arch on the held-out identities."""

    def evaluate(task: SupernetTask) -> dict[str, float]:
        evaluator = SupernetEvaluator(
            task.supernet,
            images.train,
            images.query,
            images.gallery,
            job.device,
            job.experiment.search,
        )
        return {
            f"{name}_mAP": evaluator(arch)["default"]
            for name, arch in (("largest", largest(space)), ("smallest", smallest(space)))
        }

    return evaluate
