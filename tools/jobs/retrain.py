"""The job of ``tools/retrain.py``."""

from __future__ import annotations

from pathlib import Path

from evaluation.comparison import ResultRow
from evaluation.features import evaluate_network
from evaluation.pictures.curves import draw_curves
from reid.engine.batches import training_batches
from reid.engine.checkpoint import save_weights
from reid.engine.device import describe_device, seeded
from reid.engine.identity_task import IdentityTask
from reid.engine.run_folder import open_run, read_metrics
from reid.engine.trainer import Monitor, fit
from reid.models.network import ReidNetwork, count_parameters
from search.cost import format_flops, network_flops
from supernet.catalog import NamedArch, Spec, build, find_network, input_size_of, spec_to_dict
from supernet.files import ARCHS, load_space
from tools.cli import Job
from tools.jobs.data import Source, open_source, retrain_data, search_data, train_set_words
from tools.jobs.opening import announce, recipe_line, shown, tell_estimate
from tools.jobs.provenance import run_config
from tools.jobs.result import WEIGHTS, score_on_test


def retrain(job: Job, arch: str, search: Path) -> Path:
    """Trains the network called ``arch`` from scratch and scores the last weights on the test set; returns the run
    folder.

    Args:
        job: the common options.
        arch: name or path; see ``find_network``.
        search: a search's run folder, whose archs are looked up before ``configs/archs``.
    """
    experiment, recipe = job.experiment, job.experiment.retrain
    space_size = load_space(experiment.space).input_size
    spec, path = find_network(
        arch, [search / "archs"], experiment.input_size, space_size, experiment.resnet_last_stride
    )
    source = open_source(experiment.data, job.data)
    images = retrain_data(source, experiment.data)
    size = input_size_of(spec)
    with seeded(job.seed):
        batches = training_batches(
            images, recipe.identities, recipe.instances, size, recipe.augment, job.seed, job.device
        )
        network = build(spec)
        task = IdentityTask(network, batches.classes, recipe.losses)
    train_set = train_set_words(source, images)
    # Only now, when data and settings have been found to fit: a folder that is begun cannot be begun again.
    about = run_config(job, source, data=experiment.data, recipe=recipe) | {"network": spec_to_dict(spec)}
    run = open_run(job.out, about, job.resume)
    _announce(job, spec, path, network, source, train_set)
    fit(
        task,
        batches,
        recipe,
        run,
        job.device,
        monitor=_monitor(job, network, source, size),
        on_estimate=tell_estimate(job.device),
        title=spec.name,
    )
    draw_curves(read_metrics(run), run / "curves.png")
    save_weights(run / WEIGHTS, network, spec_to_dict(spec))
    finish(job, network, spec, source, run, train_set)
    return run


def finish(job: Job, network: ReidNetwork, spec: Spec, source: Source, run: Path, train_set: str) -> ResultRow:
    """Scores a trained network on the official query and gallery and writes its result."""
    return score_on_test(
        network,
        spec,
        source,
        job.device,
        run,
        kind="searched" if isinstance(spec, NamedArch) and "space" in spec.origin else "baseline",
        name=spec.name,
        epochs=job.experiment.retrain.epochs,
        seed=job.seed,
        train_set=train_set,
    )


def _monitor(job: Job, network: ReidNetwork, source: Source, size: tuple[int, int]) -> Monitor | None:
    """mAP on the held-out identities, where those are not trained on; test data are never looked at while training."""
    if job.experiment.data.retrain_on_holdout or not job.experiment.retrain.evaluate_every:
        return None
    held = search_data(source, job.experiment.data)

    def evaluate() -> dict[str, float]:
        score = evaluate_network(network, held.query, held.gallery, size, job.device)
        return {"holdout_mAP": score.mAP, "holdout_rank1": score.rank1}

    return Monitor(evaluate)


def _announce(job: Job, spec: Spec, path: Path | None, network: ReidNetwork, source: Source, train_set: str) -> None:
    size = input_size_of(spec)
    flops = format_flops(network_flops(network.eval(), size))
    shadowed = path is not None and path.parent != ARCHS and (ARCHS / path.name).exists()
    announce(
        f"retraining {spec.name} from scratch in {shown(job.out)}",
        [
            ("note", source.notice),
            ("data", train_set),
            ("network", f"{spec.name}, {size[0]}x{size[1]}, {count_parameters(network) / 1e6:.2f}M parameters"),
            ("arch file", path and shown(path)),
            ("note", f"{shown(ARCHS / path.name)} has the same name and is not the one used" if shadowed else None),
            ("FLOPs", flops),
            ("recipe", recipe_line(job.experiment.retrain)),
            ("device", describe_device(job.device)),
        ],
    )
