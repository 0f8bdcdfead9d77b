"""The job of ``tools/train_supernet.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from evaluation.report.training import write_training_report
from reid.engine.batches import TrainingBatches
from reid.engine.machine.device import describe_device, seeded
from reid.engine.machine.distributed import Processes, barrier, from_environment, process_group
from reid.engine.trainer import Monitor, fit
from reid.models.residuals import zero_residuals
from search.costs import CostTable, flops_range
from search.flops_words import format_flops, parse_flops
from search.sampling import evenly_over_flops
from supernet.arch import Arch
from supernet.files import load_space, space_to_dict
from supernet.space import Space, describe
from supernet.space.genome import largest, smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import SUPERNET, save_supernet
from supernet.training import SupernetTask
from supernet.training.sampling import Draw, uniform
from tools.jobs.data import SearchData, Source, open_source, search_data
from tools.jobs.data import describe as describe_images
from tools.jobs.experiment import Experiment
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.ownership import training_in
from tools.jobs.runs.provenance import made_by, run_config
from tools.jobs.runs.supernets import evaluator_of
from tools.jobs.training.drawing import batches_of
from tools.jobs.training.facts import training_facts
from tools.jobs.training.finished import complete, is_over, tell_over
from tools.jobs.training.notes import recipe_notes
from tools.jobs.training.result import missing_average
from tools.jobs.training.teacher import doubts, load_teacher, teacher_sha256
from tools.jobs.words.opening import announce, tell_estimate
from tools.jobs.words.recipes import recipe_lines, step_line


def train_supernet(job: Job) -> Path:
    """Trains the supernet of the experiment's space on the training identities; returns the run folder.

    It contains ``supernet.safetensors``, whose header holds the space, so that a search of another space is refused.
    Under ``torchrun`` the processes train one supernet together.

    Raises:
        UserError: data and settings do not fit together, or the run folder holds another run.
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
    recipe, draw = experiment.supernet.recipe, _draw(experiment, space)
    batches = batches_of(source, images.train, recipe, space.input_size, job, processes)
    distillation, over = recipe.losses.distillation, job.resume and is_over(job.out, SUPERNET)
    with seeded(job.seed):
        supernet = Supernet(space, experiment.supernet.sharing)
        zero_residuals(supernet, recipe.zero_init_residual)
        task = SupernetTask(
            supernet,
            batches.classes,
            experiment.supernet,
            job.seed,
            draw,
            None if over else load_teacher(distillation, images.train, space.input_size, job),
        )
    facts = training_facts(recipe, images.train, batches.per_epoch, (images.query, images.gallery), source)
    parts = {"data": experiment.data, "supernet": experiment.supernet}
    config = run_config(job, source, **parts) | {"space": space_to_dict(space)} | _counted_at(experiment)
    config |= teacher_sha256(distillation)

    def announce() -> None:
        if not over:
            _announce(job, space, images, source, batches, processes)

    with training_in(job, config, announce, processes, images.train):
        if over:
            if processes.is_main:
                tell_over(job.out)
                complete(job.out)
            return job.out
        trained = fit(
            task,
            batches,
            recipe,
            job.out,
            job.device,
            monitor=Monitor(_monitor(job, _ends(experiment, space, draw), images), "largest_mAP"),
            facts=facts,
            processes=processes,
            on_estimate=tell_estimate(job.device),
            title="supernet",
        )
        if processes.is_main:
            write_training_report(job.out, made_by(), _persons(source, images))
            save_supernet(job.out / SUPERNET, trained.supernet)  # last, since it marks the training as finished
            for note in missing_average(job.out, recipe):
                print(f"  note      {note}")
        barrier(processes)
    return job.out


def _draw(experiment: Experiment, space: Space) -> Draw:
    """The sampling requested by ``sampling.spread`` and ``sampling.flops``; FLOPs are counted as in the search."""
    sampling = experiment.supernet.sampling
    if sampling.spread == "uniform":
        return uniform(space)
    within = None if sampling.flops is None else tuple(map(parse_flops, sampling.flops))
    return evenly_over_flops(space, CostTable(), within, experiment.search.cost_input_size if within else None)


def _counted_at(experiment: Experiment) -> dict[str, list[int]]:
    """The input size at which FLOPs are counted for sampling, if it is set and sampling depends on FLOPs."""
    size = experiment.search.cost_input_size
    return {"cost_input_size": list(size)} if size and experiment.supernet.sampling.flops else {}


def _ends(experiment: Experiment, space: Space, draw: Draw) -> dict[str, Arch]:
    """The archs to monitor as largest and smallest. If sampling is limited in FLOPs, they are drawn at the ends of that
    range, except the largest, which stays that of the space if it is trained (``sampling.largest_every``)."""
    sampling = experiment.supernet.sampling
    if sampling.flops is None:
        return {"largest": largest(space), "smallest": smallest(space)}
    most, least = (next(draw(Random(f"ends/{share}"), share)) for share in (1.0, 0.0))
    return {"largest": largest(space) if sampling.largest_every else most, "smallest": least}


def _announce(
    job: Job, space: Space, images: SearchData, source: Source, batches: TrainingBatches, processes: Processes
) -> None:
    low, high = flops_range(space, CostTable())
    recipe = job.experiment.supernet.recipe
    together = f", one of {processes.world_size} processes" if processes.several else ""
    announce(
        f"training a supernet in {shown(job.out)}",
        [
            ("note", source.notice),
            ("note", "data.also_train is for stand-alone networks; not used here" if source.also_train else None),
            ("data", _persons(source, images)),
            ("network", describe(space)),
            ("FLOPs", f"{format_flops(low)} to {format_flops(high)}"),
            *recipe_lines(recipe),
            ("a step", step_line(job.experiment.supernet)),
            *(("note", note) for note in recipe_notes(recipe, batches.classes, batches.per_epoch)),
            *(("note", doubt) for doubt in doubts(recipe.losses.distillation, source, job.experiment.data)),
            ("device", describe_device(job.device) + together),
        ],
    )


def _persons(source: Source, images: SearchData) -> str:
    held = f"{describe_images(images.query)} as query and {len(images.gallery)} images as gallery"
    return f"{source.dataset.name}: {describe_images(images.train)}; held out for the search: {held}"


def _monitor(job: Job, archs: Mapping[str, Arch], images: SearchData) -> Callable[[SupernetTask], dict[str, float]]:
    """Measures ``<name>_mAP`` of each arch on the held-out identities."""

    def evaluate(task: SupernetTask) -> dict[str, float]:
        evaluator = evaluator_of(task.supernet, images, job)
        return {f"{name}_mAP": evaluator(arch)["default"] for name, arch in archs.items()}

    return evaluate
