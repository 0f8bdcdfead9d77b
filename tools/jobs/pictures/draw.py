"""The pictures of a request, kind by kind."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.features.scikit_learn import need_sklearn
from evaluation.pictures.tsne import draw_tsne
from evaluation.protocols import passed_over
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.lists import choose_queries, query_scores, ranked_lists
from evaluation.retrieval.scores import QueryScores, mean_score
from evaluation.tsne import Plane, tsne_plane
from reid.errors import UserError
from reid.models.network import ReidNetwork
from tools.jobs.evaluate.subject import Subject
from tools.jobs.job import Job
from tools.jobs.pictures.album import Album
from tools.jobs.pictures.lists import Maps, draw_lists, draw_maps, list_facts
from tools.jobs.pictures.page import Drawing, Drawn
from tools.jobs.pictures.request import KINDS, QUERIES, Request, persons_shown


def possible_kinds(request: Request, subject: Subject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The kinds to draw, and why others are left out.

    Raises:
        UserError: a kind requested by name cannot be drawn.
    """
    needs = {"activations": lambda: _need_map(subject), "tsne": need_sklearn}
    kinds, notes = [], []
    for kind in (kind for kind in KINDS if request.kinds is None or kind in request.kinds):
        try:
            needs.get(kind, lambda: None)()
            kinds.append(kind)
        except UserError as error:
            if request.kinds is not None:
                raise
            notes.append(f"left out: {error}")
    if request.maps_in_lists:
        _need_map(subject)
    return tuple(kinds), tuple(notes)


def draw_pictures(
    job: Job,
    subject: Subject,
    album: Album,
    features: RetrievalFeatures,
    kinds: Sequence[str],
    pids: tuple[int, ...],
    request: Request,
) -> Drawing:
    """Draws ``kinds`` into ``job.out``; ``pids`` are the numbers of the request's persons. If it raises, nothing has
    been written.

    Raises:
        UserError: no query is left to draw, the features cannot be ranked, or the t-SNE's options do not fit.
    """
    drawn: list[Drawn] = []
    plane, notes = _plane(job, features, pids, request) if "tsne" in kinds else (None, ())
    score = None
    if "ranked" in kinds or "activations" in kinds:
        scores = query_scores(features, request.protocol.metric)
        score = mean_score(scores, skipped=len(features.query) - len(scores.counted))
        drawn += _draw_queries(job, subject, album, features, scores, kinds, pids, request)
    if plane is not None:
        title = f"Embeddings of {_what(features)} (t-SNE)"
        path = draw_tsne(plane, job.out / "tsne.png", title, album.person, album.camera)
        drawn.append(Drawn("Embeddings (t-SNE)", "", (path,)))
    return Drawing(tuple(drawn), notes, score)


def _plane(
    job: Job, features: RetrievalFeatures, pids: tuple[int, ...], request: Request
) -> tuple[Plane | None, tuple[str, ...]]:
    """The t-SNE, or why there is none; raises UserError if it, or a perplexity, was requested."""
    persons = persons_shown(request.persons, request.pids)
    try:
        return tsne_plane(features, persons, job.seed, request.perplexity, request.protocol.metric, pids), ()
    except UserError as error:
        if request.kinds is not None or request.perplexity is not None:
            raise
        return None, (f"left out: {error}",)


def _draw_queries(
    job: Job,
    subject: Subject,
    album: Album,
    features: RetrievalFeatures,
    scores: QueryScores,
    kinds: Sequence[str],
    pids: tuple[int, ...],
    request: Request,
) -> list[Drawn]:
    metric, drawn = request.protocol.metric, []
    count = request.queries or (None if pids else QUERIES)
    queries = choose_queries(features.query.pids, scores, count, pids, request.worst, job.seed)
    if not queries:
        raise UserError(
            "--worst: no query of these --pids has a right answer in the gallery, so none has an AP; name other --pids"
        )
    how = "worst AP first" if request.worst else "all of them" if count is None else f"drawn with seed {job.seed}"
    chosen, maps = f"{len(queries)} {'query' if len(queries) == 1 else 'queries'}, {how}", Maps(subject, album)
    if "ranked" in kinds:
        lists = ranked_lists(features, queries, request.top, scores, metric)
        footer = (f"{_what(features)}, {metric} distance. {left_out(features)}",)
        paths = draw_lists(job.out, lists, album, footer, maps if request.maps_in_lists else None)
        facts = tuple(list_facts(each, album) for each in lists)
        drawn.append(Drawn("Ranked lists", f"{chosen}; the nearest {request.top} of each.", paths, facts))
    if "activations" in kinds:
        paths = draw_maps(job.out, queries, album, (f"{_what(features)}.",), maps)
        drawn.append(Drawn("Activation maps", f"{chosen}.", paths))
    return drawn


def _what(features: RetrievalFeatures) -> str:
    return f"{features.about['network']} on {features.about['data']}"


def left_out(features: RetrievalFeatures) -> str:
    """What the ranked lists leave out, in words."""
    words = " and ".join(passed_over(features))
    return f"Passed over: {words}." if words else "Cameras are not known: no image of the same person is passed over."


def _need_map(subject: Subject) -> None:
    if not isinstance(subject.network, ReidNetwork):
        raise UserError(
            "activation maps need a checkpoint: an .onnx file gives only its vector, not its feature map; name a run "
            "folder"
        )
