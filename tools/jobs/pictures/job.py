"""The job of ``tools/visualize.py``."""

from __future__ import annotations

import re
from pathlib import Path

from reid.engine.machine.device import describe_device
from reid.engine.runs.run_folder import taken
from reid.files import write_json
from supernet.trained import network_file
from tools.jobs.evaluate.checkpoints import open_subject
from tools.jobs.evaluate.datasets import open_test_sets
from tools.jobs.evaluate.subject import features_on_test
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.pictures.album import keep_private, open_album, shows_real_persons
from tools.jobs.pictures.draw import draw_pictures, possible_kinds
from tools.jobs.pictures.page import PAGE, write_page
from tools.jobs.pictures.request import Request, check_request
from tools.jobs.runs.data import trained_on
from tools.jobs.runs.ownership import REPLACE, alone, check_owner
from tools.jobs.runs.provenance import command, commit
from tools.jobs.words.opening import announce

PICTURES = "pictures.json"

_OURS = re.compile(r"(?:(?:ranked|activations)-\d+|tsne)\.png")
"""Names of the pictures."""


@alone
def visualize(job: Job, subject: Path, arch: str | None, search: Path, request: Request) -> Path:
    """Draws into ``job.out`` and returns the page with all pictures, ``index.html``. The contents of ranked lists are
    also in ``pictures.json``. With ``job.resume``, an earlier call's pictures are replaced.

    Args:
        subject: a run folder, a weights file (a supernet's with ``arch``), a name of the zoo, or an ``.onnx`` file.

    Raises:
        UserError: an option does not fit; the subject cannot be opened or does not support the request; it was trained
            on another split of the data; the folder already holds pictures; or pictures of real persons would be
            written among the repository's files.
    """
    check_request(request)
    earlier = earlier_pictures(job.out, job.resume)
    opened, train_set = open_subject(job, subject, arch, search, request.protocol)
    kinds, notes = possible_kinds(request, opened)
    trained = trained_on(network_file(subject, supernet=arch is not None, by_arch=True), supernet=arch is not None)
    (source,) = open_test_sets(
        request.dataset, request.split, job.experiment.data, job.data, opened.input_size, trained
    )
    keep_private(job.out, source.dataset)
    announce(
        f"drawing {shown(subject)}, in {shown(job.out)}",
        [
            ("note", source.notice),
            *(("note", note) for note in notes),
            ("pictures", ", ".join(kinds)),
            ("data", source.dataset.name),
            ("device", describe_device(opened.device)),
        ],
    )
    album = open_album(source)
    pids = album.identities(request.pids)
    features = features_on_test(opened, source, request.protocol).to(opened.device)
    drawing = draw_pictures(job, opened, album, features, kinds, pids, request)
    for note in drawing.notes:
        print(f"  note      {note}")
    real = shows_real_persons(source.dataset)
    page = write_page(job.out, drawing, features, train_set, real, [*notes, *drawing.notes])
    files = [path.name for each in drawing.drawn for path in each.paths]
    for name in set(earlier) - set(files):
        (job.out / name).unlink(missing_ok=True)
    lists = [fact for each in drawing.drawn for fact in each.facts]
    told = {"pictures": files, "lists": lists, "score": drawing.score and drawing.score.as_dict()}
    about = {"about": dict(features.about), "seed": job.seed, "command": command(), "commit": commit()}
    write_json(job.out / PICTURES, {**told, **about})
    if real:
        print(f"private: pictures of real persons ({source.dataset.name}) were written to {job.out}; keep them private")
    return page


def earlier_pictures(out: Path, resume: bool) -> list[str]:
    """Pictures that an earlier call, even an interrupted one, left in the folder; raises UserError if there are such
    pictures or a page and ``resume`` is not set."""
    check_owner(out)
    pictures = sorted(path.name for path in out.glob("*.png") if _OURS.fullmatch(path.name))
    there = [*pictures, *(name for name in (PAGE, PICTURES) if (out / name).exists())]
    if there and not resume:
        raise taken(shown(out), there[0], REPLACE)
    return pictures
