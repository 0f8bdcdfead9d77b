"""The job of ``tools/retrain.py``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evaluation.report.training import write_training_report
from reid.engine.machine.distributed import Processes, barrier, from_environment, process_group
from reid.engine.runs.run_folder import WEIGHTS
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.trainer import fit
from supernet.trained.checkpoint import load_network
from tools.jobs.job import Job
from tools.jobs.runs.ownership import training_in
from tools.jobs.runs.provenance import made_by
from tools.jobs.training.announcement import announce_training
from tools.jobs.training.cool_down import Begun, begun, check_same, take_over
from tools.jobs.training.facts import training_facts
from tools.jobs.training.finished import is_complete, is_over, tell_over
from tools.jobs.training.looks import OwnEvaluation, best_by, held_out, missing_best, monitor_of
from tools.jobs.training.preparation import Prepared, prepare
from tools.jobs.training.result import keep, missing_average, score
from tools.jobs.training.retrain_words import taken_back
from tools.jobs.training.wanted import Retraining
from tools.jobs.words.opening import tell_estimate


def retrain(job: Job, what: Retraining, own: OwnEvaluation | None = None) -> Path:
    """Trains a network and, unless ``what.test`` is false or the data set has no test images, scores its final weights
    on the test set; returns the run folder.

    Under ``torchrun`` the processes train one network together; only the first calls ``own``.

    Args:
        own: an additional evaluation every ``retrain.evaluate_every`` epochs.

    Raises:
        UserError: data, settings and network do not fit together, or the run folder holds another run.
    """
    with process_group(from_environment(job.device)) as processes:
        return _retrain(dataclasses.replace(job, device=processes.device), what, own, processes)


def _retrain(job: Job, what: Retraining, own: OwnEvaluation | None, processes: Processes) -> Path:
    whole = job.experiment.retrain
    ended = what.cool_down and begun(what.cool_down, whole, job.out)
    if ended:
        job = dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, retrain=ended.recipe))
    recipe = job.experiment.retrain
    ready = prepare(job, what, processes)
    held = held_out(job, ready.source, own)
    facts = training_facts(recipe, ready.images, ready.batches.per_epoch, held, ready.source)
    config = ready.config | ({"cooled_down": ended.noted} if ended else {})
    if ended and not ended.goes_on:
        check_same(what.cool_down, config, whole)
    over = job.resume and is_over(job.out, WEIGHTS)

    def announce() -> None:
        if over:
            return
        if ended:
            take_over(what.cool_down, ended.done, job.out, *best_by(own))
        announce_training(job, ready, processes, looks=held is not None or own is not None)

    with training_in(job, config, announce, processes, ready.images):
        trained = None
        if not over:
            trained = fit(
                ready.task,
                ready.batches,
                recipe,
                job.out,
                job.device,
                monitor=monitor_of(job, ready.spec, held, own),
                facts=facts,
                processes=processes,
                on_estimate=tell_estimate(job.device),
                title=ready.spec.name,
            )
        if processes.is_main:
            _finish(job, what, ready, ended, trained)
        barrier(processes)
    return job.out


def _finish(job: Job, what: Retraining, ready: Prepared, ended: Begun | None, trained: IdentityTask | None) -> None:
    """Writes weights, score and page. If ``trained`` is ``None``, the training was over before, and only a missing
    score or page is written."""
    scored = what.test and ready.source.dataset.has_test
    if trained is None:
        tell_over(job.out)
        if is_complete(job.out, scored):
            return
        network, spec = load_network(job.out / WEIGHTS, job.device)
    else:
        network, spec = keep(job, trained, ready.spec, ready.images)
    if scored:
        recipe = job.experiment.retrain
        notes = [ended.words(job.seed)] if ended else []
        notes += [*taken_back(job.out), *missing_best(job.out, recipe, bool(ended)), *missing_average(job.out, recipe)]
        score(job, network, spec, ready.source, ready.trained_on, what.label, tuple(notes))
    write_training_report(job.out, made_by(), ready.trained_on)
