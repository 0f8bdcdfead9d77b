"""Messages at the start of a network's training."""

from __future__ import annotations

from reid.engine.machine.device import describe_device
from reid.engine.machine.distributed import Processes
from reid.models.network import count_parameters
from search.costs import network_flops
from search.flops_words import format_flops
from supernet.catalog import for_inference
from supernet.files import ARCHS
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.training.notes import never_looked, no_branches, recipe_notes
from tools.jobs.training.preparation import Prepared
from tools.jobs.training.retrain_words import terms_of
from tools.jobs.words.opening import announce
from tools.jobs.words.recipes import recipe_lines


def announce_training(job: Job, ready: Prepared, processes: Processes, looks: bool) -> None:
    """Prints what is trained, from which weights, on which data, how and where; ``looks``: whether it is evaluated
    during training."""
    spec, file, dataset, recipe = ready.spec, ready.file, ready.source.dataset, job.experiment.retrain
    classes, per_epoch = ready.batches.classes, ready.batches.per_epoch
    height, width = spec.input_size
    network, _ = for_inference(ready.network, spec)
    flops = format_flops(network_flops(network.eval(), spec.input_size))
    shadowed = file is not None and file.parent != ARCHS and (ARCHS / file.name).exists()
    together = f", one of {processes.world_size} processes" if processes.several else ""
    announce(
        f"training {spec.name} {'from given weights,' if ready.begun_with else 'from scratch'} in {shown(job.out)}",
        [
            ("note", ready.source.notice),
            ("data", ready.trained_on),
            ("note", None if dataset.has_test else f"{dataset.name} has no query and gallery, so there is no score"),
            ("network", f"{spec.name}, {height}x{width}, {count_parameters(network) / 1e6:.2f}M parameters"),
            ("arch file", file and shown(file)),
            ("note", f"{shown(ARCHS / file.name)} has the same name but is not used" if shadowed else None),
            ("weights", ready.begun_with),
            ("licence", terms_of(ready.start)),
            ("FLOPs", flops),
            *recipe_lines(recipe, fresh=ready.begun_with is None),
            *(("note", note) for note in recipe_notes(recipe, classes, per_epoch)),
            ("note", no_branches(spec.name, recipe.zero_init_residual) if ready.zeroed == 0 else None),
            ("note", None if looks else never_looked(recipe)),
            ("batches", f"{per_epoch} per epoch"),
            ("device", describe_device(job.device) + together),
        ],
    )
