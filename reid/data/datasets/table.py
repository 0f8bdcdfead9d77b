"""Reader of a CSV file with one image in each row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from reid.data.datasets.listing import composed
from reid.data.datasets.own import PARTS, OwnImage, own_dataset
from reid.data.records import Dataset
from reid.errors import UserError, nearest

COLUMNS = ("path", "pid", "camid", "split")
"""Columns of the table; the first two are required."""


def read_csv(path: Path, test_share: float = 0.5, seed: int = 0) -> Dataset:
    """A data set from a UTF-8 file with a header and the columns ``path``, ``pid`` and, where known, ``camid`` and
    ``split``, in any order.

    ``path`` is relative to the file's folder, or absolute; ``pid`` and ``camid`` are any texts; ``split`` is
    ``train``, ``query`` or ``gallery``. Without ``split`` identities are drawn for the test.

    Args:
        test_share: share of the identities that are tested, where there is no column ``split``.
        seed: of the draw of those identities.

    Raises:
        UserError: the file is missing, a column is missing or unknown, a row is wrong (named by its line), or as
            ``own_dataset`` says.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            images = list(_rows(path, csv.reader(file, strict=True)))
    except FileNotFoundError:
        raise UserError(f"file {path} does not exist; give the CSV file of the data set") from None
    except OSError as error:
        raise UserError(f"file {path} cannot be read: {error.strerror}; give a CSV file that can") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"file {path} is not a UTF-8 CSV file ({error}); save the table as CSV in UTF-8") from None
    return own_dataset(path.stem, images, test_share, seed)


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[OwnImage]:
    header = [name.strip() for name in next(reader, [])]
    _check_header(path, header)
    lines: dict[str, int] = {}
    for row in reader:
        if not row:
            continue
        where = f"{path}, line {reader.line_num}"
        if len(row) != len(header):
            raise UserError(f"{where}: {len(row)} values, but the header has {len(header)} columns; correct the line")
        values = {name: value.strip() for name, value in zip(header, row, strict=True)}
        values |= {name: composed(values[name]) for name in ("pid", "camid") if name in values}
        if not values["path"] or not values["pid"]:
            raise UserError(f"{where}: path or pid is empty; fill it in, or remove the line")
        part = values.get("split") or None
        if part is not None and part not in PARTS:
            raise UserError(f"{where}: split is '{part}'; it must be one of {', '.join(PARTS)}")
        image = os.path.abspath(path.parent / values["path"])
        if not os.path.isfile(image):
            cure = (
                "write its path with /"
                if "\\" in values["path"]
                else "correct the path, which is relative to the CSV file's folder"
            )
            raise UserError(f"{where}: image {image} does not exist; {cure}")
        if image in lines:
            raise UserError(
                f"{where}: image {values['path']} is already in line {lines[image]}; remove one of the lines"
            )
        lines[image] = reader.line_num
        yield OwnImage(image, values["pid"], values.get("camid") or None, part, where)


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) == 1 and (other := next((sign for sign in ";\t|" if sign in header[0]), None)):
        raise UserError(f"{path}, line 1: columns are separated by {other!r}; save the table with commas")
    for name in header:
        if name not in COLUMNS:
            raise UserError(
                f"{path}, line 1: unknown column '{name}'{nearest(name, COLUMNS)}; known: {', '.join(COLUMNS)}"
            )
        if header.count(name) > 1:
            raise UserError(f"{path}, line 1: column '{name}' occurs twice; remove one")
    for name in COLUMNS[:2]:
        if name not in header:
            raise UserError(f"{path}, line 1: column '{name}' is missing; the first line must name the columns")
