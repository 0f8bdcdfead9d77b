"""Test vectors for the evaluation: inputs, and the results that the published definitions give for them.

python -m evaluation.vectors                          the cases, and where their files are
python -m evaluation.vectors --check RESULTS.json     compares a program's results with them
python -m evaluation.vectors --ours RESULTS.json      writes this framework's results, in the form that --check reads
python -m evaluation.vectors --write FOLDER           regenerates the files from the reference loops

--check ends with 0 if all results agree, 1 if one does not, 2 if the file cannot be used.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from evaluation.vectors.case import FOLDER, Case, read_cases, write_case
from evaluation.vectors.check import check_results
from evaluation.vectors.expected import expected_results
from evaluation.vectors.inputs import make_inputs
from evaluation.vectors.ours import our_results
from reid.errors import UserError
from reid.files import read_json, write_json
from reid.options import Parser


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m evaluation.vectors", description=__doc__)
    jobs = parser.add_mutually_exclusive_group()
    jobs.add_argument("--check", type=Path, metavar="FILE", help="file of results by case, as JSON")
    jobs.add_argument("--ours", type=Path, metavar="FILE", help="file to write")
    jobs.add_argument("--write", type=Path, metavar="FOLDER", help="folder to write the cases to")
    options = parser.parse_args(arguments)
    try:
        if options.check is not None:
            return _check(options.check)
        if options.ours is not None:
            print(write_json(options.ours, {case.name: our_results(case) for case in read_cases()}))
        elif options.write is not None:
            for case in make_cases():
                print(write_case(case, options.write))
        else:
            _show(read_cases())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}; name a place that can be written", file=sys.stderr)
        return 2
    return 0


def make_cases() -> list[Case]:
    """All cases with their expected results, made anew."""
    return [replace(case, expected=expected_results(case)) for case in make_inputs()]


def _show(cases: list[Case]) -> None:
    width = max(len(case.name) for case in cases)
    print(f"{'case':{width}}  queries x gallery  metric     what")
    for case in cases:
        size = f"{len(case.query.pids)} x {len(case.gallery.pids)}"
        print(f"{case.name:{width}}  {size:17}  {case.metric:9}  {case.about}")
    print(f"files: {FOLDER}")


def _check(path: Path) -> int:
    cases, given = read_cases(), read_json(path)
    count, mismatches = check_results(cases, given)
    for line in mismatches:
        print(line)
    print(f"{len(given)} of {len(cases)} cases, {count} values: {len(mismatches) or 'no'} mismatches")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
