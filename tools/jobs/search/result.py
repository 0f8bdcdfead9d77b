"""Messages of ``tools/search.py`` about a finished search, and arch files of its further candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from reid.errors import UserError
from reid.files import expecting
from reid.words import counted
from search.arch_files import describe, limit_name, write_arch
from search.folder import CURE, LOG, SUMMARY, chosen_files, read_summary
from search.front import words_of
from search.history import Candidate, read_candidates
from search.limits.limits import Limits, format_value
from search.result import SearchResult
from tools.jobs.paths import shown
from tools.typed import to_type


def score_words(learn_from: Sequence[str] | None) -> str:
    """A description of the scores of a search, which may learn from rankings."""
    return "predicted stand-alone mAP" if learn_from else "held-out mAP"


def print_result(
    result: SearchResult, strategy: str, following: Callable[[str], str], what: str = "held-out mAP"
) -> None:
    """Prints notes, the search's speed, the front (with ``pareto``), finalists if any were trained, and the chosen
    archs, with their predicted and measured latencies if there is a target.

    Args:
        following: gives the command that retrains an arch, by its name.
        what: describes the candidates' scores.
    """
    for note in result.notes:
        print(f"note: {note}")
    if result.speed.candidates:
        count, seconds = result.speed.candidates, result.speed.seconds
        many = counted(count, "candidate")
        print(f"speed: {many} in {seconds:.1f} s, {result.speed.per_second:.3g} candidates/s")
    if result.predictor:
        quality = f"rank correlation {result.predictor['spearman']:.2f} with scores it had not seen"
        print(f"predictor: {quality} (Spearman; Kendall {result.predictor['kendall']:.2f})")
    if strategy == "pareto":
        over = f" over {words_of(result.costs, score=True)}" if len(result.costs) > 1 else ""
        print(f"front of {len(result.front)}{over}:")
        for candidate in result.front:
            costs = _costs(candidate)
            print(f"  trial {candidate.trial:<6} {costs}, {what} {100 * candidate.score:.1f} %")
    if result.finalists:
        print("finalists, by their held-out mAP after their own training:")
        for each in result.finalists:
            line = f"  trial {each.candidate.trial:<6} {_costs(each.candidate)}, {100 * each.trained:.1f} %"
            print(f"{line} (before: {what} {100 * each.candidate.score:.1f} %)")
    measured = result.measured_ms or [None] * len(result.best)
    for index, (path, candidate, ms) in enumerate(zip(result.archs, result.best, measured, strict=True)):
        timed = "" if ms is None else f" (measured {format_value('latency_ms', ms)})"
        trained = f", {100 * result.finalists[index].trained:.1f} % trained" if result.finalists else ""
        costs = _costs(candidate)
        print(f"{path.stem}: {costs}{timed}, {what} {100 * candidate.score:.1f} %{trained}, {shown(path)}")
    more = f"; to write any candidate as a file: {to_type('search', '--out', shown(result.out), '--write', 'TRIAL')}"
    print(f"front: {result.out}/front.json{more if strategy == 'pareto' else ''}")
    print(f"next: {following(result.archs[0].stem)}")


def _costs(candidate: Candidate) -> str:
    """FLOPs, parameters and, if known, latency: any of them may be limited."""
    words = f"{candidate.flops / 1e6:.1f}M FLOPs, {candidate.parameters / 1e6:.3f}M parameters"
    return words if candidate.latency_ms is None else f"{words}, {format_value('latency_ms', candidate.latency_ms)}"


def write_more(out: Path, trials: Sequence[int]) -> list[Path]:
    """Writes candidates of the finished search in ``out`` as ``archs/<prefix>-<limit>-T<trial>.yaml``.

    Raises:
        UserError: there is no finished search, or no scored candidate with that number.
    """
    if not (out / SUMMARY).is_file():
        raise UserError(f"{out} contains no search; give the --out of a finished one")
    summary = read_summary(out)
    if not summary.get("finished"):
        raise UserError(f"the search in {out} is not finished; first finish it with --resume, without --write")
    best = chosen_files(out)[0]
    with expecting(out / SUMMARY, CURE):
        settings, origin = summary["settings"], dict(summary["run_origin"])
        limits = Limits(**{name: settings.get(f"limit_{name}") for name in ("flops", "latency_ms", "parameters")})
        prefix = best.stem.removesuffix(f"-{limit_name(limits)}-A")
        settings["space"]["name"]  # needed to write arch files
        what = score_words(settings.get("learn_from"))
    scored = {each.trial: each for each in read_candidates(out / LOG) if each.score is not None}
    missing = [trial for trial in trials if trial not in scored]
    if missing:
        raise UserError(
            f"--write {missing[0]}: the search in {out} has no candidate of that number with a score; {LOG} lists the "
            "candidates"
        )
    paths = []
    for trial in trials:
        name = f"{prefix}-{limit_name(limits)}-T{trial}"
        candidate = scored[trial]
        paths.append(write_arch(out, name, candidate.arch, settings, describe(candidate), origin))
        print(f"{name}: {_costs(candidate)}, {what} {100 * candidate.score:.1f} %, {shown(paths[-1])}")
    return paths
