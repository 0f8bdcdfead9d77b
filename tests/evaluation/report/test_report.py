from __future__ import annotations

import re
from dataclasses import replace

import pytest

from evaluation.comparison.printed import comparison_table
from evaluation.pictures.search_progress import draw_search_progress
from evaluation.report.comparison import NOT_COMPARABLE, summary_of, write_comparison_report
from evaluation.report.html import Link, Picture, Section, write_report
from evaluation.tables import Table
from reid.errors import UserError
from supernet.files import NamedArch, mobilenet_v2
from tests.evaluation.pixels import has_front
from tests.evaluation.rows import FOUND

ROW = replace(FOUND, name="found <1>", mAP=0.6123, flops=5_200_000)
ROWS = [ROW, replace(ROW, name="ResNet-18", kind="baseline", mAP=0.66, flops=150_000_000)]
CANDIDATES = [{"trial": trial, "score": 0.3 + trial / 50, "flops": 2_000_000 + 37_000 * trial} for trial in range(9)]


def test_everything_is_on_the_page_and_escaped(read_page, tmp_path):
    picture = draw_search_progress(CANDIDATES, tmp_path / "p.png")
    table = Table(("a", "b"), (("<i>", "2"), ("&amp;", "4")), frozenset({(1, 1)}), ("note <1>",))
    (tmp_path / "new" / "beside").mkdir(parents=True)
    (tmp_path / "new" / "beside" / "a <4>.html").touch()
    links = (Link("text <5>", "beside/a <4>.html"),)
    drawn = (Picture(picture, 'a "caption"'),)
    section = Section("H <2>", ("one & two",), table, drawn, "cmd --flag 'x' > y", links=links)
    path = write_report(tmp_path / "new" / "page.html", "T <3>", [("label", "<value>")], [section, Section("last")])
    text = path.read_text(encoding="utf-8")
    page = read_page(path)
    assert page.all("title") == page.all("h1") == ["T <3>"]
    assert page.all("h2") == ["H <2>", "last"]
    assert (page.all("dt"), page.all("dd")) == (["label"], ["<value>"])
    assert page.all("p") == ["one & two", "note <1>"]
    assert (page.all("th"), page.all("td")) == (["a", "b"], ["<i>", "2", "&amp;", "4"])
    assert page.all("code") == ["cmd --flag 'x' > y"]
    assert page.all("figcaption") == ['a "caption"']
    assert page.pictures == [picture.read_bytes()]
    assert re.findall(r'class="best">([^<]*)<', text) == ["4"]
    assert page.links == ["beside/a%20%3C4%3E.html"] and page.all("a") == ["text <5>"]


def test_a_missing_or_wrong_picture_is_named_and_nothing_overwritten(tmp_path):
    page = write_report(tmp_path / "page.html", "old", [], [])
    old = page.read_text()
    (tmp_path / "text.png").write_text("no picture")
    for name, message in (("absent.png", "does not exist"), ("text.png", "is not a PNG")):
        with pytest.raises(UserError, match=f"{name} {message}"):
            write_report(page, "new", [], [Section("s", pictures=(Picture(tmp_path / name),))])
    assert page.read_text() == old


def test_the_comparison_page(read_page, tmp_path):
    path = write_comparison_report(
        tmp_path / "report.html",
        ROWS,
        [*CANDIDATES, {"trial": 9, "score": None, "flops": 1}],
        NamedArch("MobileNetV2", mobilenet_v2()),
        ["python tools/search.py --flops 6M"],
        [{"epochs": 3, "seed": 0}, {"epochs": 4, "seed": 0}],
        about=("Synthetic pedestrians.",),
    )
    page = read_page(path)
    assert page.all("h2") == [
        "Results", "Accuracy against cost", "The search", "The network found", "Commands", "Configuration",
    ]  # fmt: skip
    drawn = [tmp_path / "pictures" / f"{name}.png" for name in ("front", "latency", "search_progress", "architecture")]
    assert page.pictures == [picture.read_bytes() for picture in drawn]
    cells = [cell.rstrip("*") for line in comparison_table(ROWS).splitlines()[2:] for cell in re.split(r"\s{2,}", line)]
    assert page.all("td") == [*(cell.strip() for cell in cells), "epochs", "3", "4"]
    assert "9 candidates with a score, of 10 tried." in page.all("figcaption")


def test_the_page_without_a_search(read_page, tmp_path):
    page = read_page(write_comparison_report(tmp_path / "report.html", ROWS))
    assert page.all("h2") == ["Results", "Accuracy against cost"]
    assert len(page.pictures) == 2  # accuracy against FLOPs, and against latency


def test_pictures_of_an_earlier_comparison_do_not_stay(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("search_progress.png", "architecture.png", "training-12.png", "mine.png"):
        (pictures / name).write_bytes(b"of before")
    write_comparison_report(tmp_path / "report.html", ROWS)
    assert sorted(each.name for each in pictures.iterdir()) == ["front.png", "latency.png", "mine.png"]


def test_no_picture_of_latency_where_a_row_has_none(read_page, tmp_path):
    rows = [ROWS[0], replace(ROWS[1], latency_ms=None)]
    page = read_page(write_comparison_report(tmp_path / "report.html", rows))
    assert len(page.pictures) == 1 and not (tmp_path / "pictures" / "latency.png").exists()


@pytest.mark.parametrize("change", [{}, {"train_set": "others"}, {"input_size": (128, 64)}])
def test_a_picture_of_what_cannot_be_compared_says_so(read_page, tmp_path, change):
    rows = [ROW, replace(ROWS[1], **change)]
    page = read_page(write_comparison_report(tmp_path / "report.html", rows))
    captions = page.all("figcaption")
    assert len(captions) == 2  # against FLOPs, and against latency
    assert [NOT_COMPARABLE.strip() in caption for caption in captions] == [bool(change)] * 2


@pytest.mark.parametrize("change", [{}, {"train_set": "pedestrians, from ImageNet weights"}])
def test_no_front_goes_through_rows_that_cannot_be_compared(tmp_path, change):
    write_comparison_report(tmp_path / "report.html", [ROW, replace(ROWS[1], **change)])
    assert has_front(tmp_path / "pictures" / "latency.png") == (not change)


def test_the_summary_is_worked_out_from_the_rows():
    assert summary_of(ROWS, 9) == [
        ("Best mAP", "66.0 %, ResNet-18"),
        ("Fewest FLOPs", "5.2 M, found <1>"),
        ("Networks compared", "2"),
        ("Trained on", "pedestrians"),
        ("Candidates scored by the search", "9"),
    ]
    apart = [ROW, replace(ROWS[1], train_set="others")]
    assert not {"Best mAP", "Fewest FLOPs"} & dict(summary_of(apart)).keys()  # nobody wins where nothing compares
    assert dict(summary_of(apart))["Trained on"] == "pedestrians, others"
