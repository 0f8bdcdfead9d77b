"""Ranked lists as they are drawn: what is read back from the pixels, and words that can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from evaluation.pictures import sheet
from evaluation.pictures.ranked_lists import RIGHT, WRONG, ListRow, ListTile, _figures, draw_ranked_lists, layout_of
from evaluation.pictures.sheet import BORDER, tile_size
from evaluation.pictures.style import INK

RIGHTS = ((True, False, False, True), (False, True))


def photograph(number: int, size=(128, 64)) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def rows(layers: int = 1, size=(128, 64), name: str = "person 1501") -> list[ListRow]:
    """Photographs of noise: each pixel tells whose it is."""
    made = []
    for row, rights in enumerate(RIGHTS):
        tiles = [
            ListTile(
                tuple(photograph(100 * row + 10 * place + layer, size) for layer in range(layers)),
                (name, "camera 6"),
                right,
                None if right is None else 0.1 * place,
            )
            for place, right in enumerate((None, *rights))
        ]
        made.append(ListRow(tiles[0], tuple(tiles[1:]), f"{name}, camera 6: AP 45.2 %, first right answer at rank 1"))
    return made


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("layers", [1, 2])
def test_borders_and_photographs_are_where_they_should_be(tmp_path, layers):
    drawn = rows(layers)
    pixels, layout = read(draw_ranked_lists(drawn, tmp_path / "lists.png")), layout_of(drawn)
    height, width = layout.size
    for row, given in enumerate(drawn):
        for place, tile in enumerate((given.query, *given.found)):
            colour = INK if tile.right is None else RIGHT if tile.right else WRONG
            colour = np.rint(np.array(to_rgb(colour)) * 255)
            for layer in range(layers):
                x, y = layout.corner(row, place, layer)
                np.testing.assert_array_equal(pixels[y : y + height, x : x + width], tile.layers[layer])
                for at in ((y - 1, x + 9), (y + height, x + 9), (y + 50, x - BORDER), (y + 50, x + width + BORDER - 1)):
                    np.testing.assert_array_equal(pixels[at], colour)
                assert (pixels[y + 50, x + width + BORDER] == 255).all()


def test_a_missing_place_is_white(tmp_path):
    drawn = rows()
    pixels, layout = read(draw_ranked_lists(drawn, tmp_path / "lists.png")), layout_of(drawn)
    x, y = layout.corner(1, 3)
    assert (pixels[y - BORDER : y + layout.size[0], x - BORDER : x + layout.size[1]] == 255).all()


def test_the_same_rows_are_the_same_bytes_and_no_file_is_left(tmp_path):
    paths = [draw_ranked_lists(rows(), tmp_path / f"{number}.png", ["a $footer$"]) for number in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["person 1501", "someone whose name is much too long for a photograph"])
@pytest.mark.parametrize("size", [(128, 64), (60, 120), (300, 40)])
def test_no_words_overlap_or_are_cut_off(tmp_path, monkeypatch, name, size):
    saved = []
    save = sheet.save_figure
    monkeypatch.setattr(sheet, "save_figure", lambda figure, path: saved.append(figure) or save(figure, path))
    drawn = rows(size=size, name=name)
    draw_ranked_lists(drawn, tmp_path / "lists.png", ["found on south, cosine distance. Passed over: nothing."])
    (figure,) = saved
    layout = layout_of(drawn)
    texts = figure.texts + [text for text in figure.artists]
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) == sum(1 + 3 * (1 + len(row.found)) for row in drawn) + 2
    photographs = []
    for row, given in enumerate(drawn):
        for place in range(1 + len(given.found)):
            x, y = layout.corner(row, place)
            low = figure.bbox.height - y - layout.size[0] - BORDER
            photographs.append((x - BORDER, low, x + layout.size[1] + BORDER, low + layout.size[0] + 2 * BORDER))
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= figure.bbox.width and 0 <= box.y0 and box.y1 <= figure.bbox.height
        assert not any(box.overlaps(other) for other in boxes[:number]), texts[number].get_text()
        for x0, y0, x1, y1 in photographs:
            assert box.x1 <= x0 or x1 <= box.x0 or box.y1 <= y0 + 1 or y1 <= box.y0 + 1
    words = [text.get_text() for text in texts]
    assert ("person 1501" in words) == (name == "person 1501")
    assert {"✓ 0.100", "✗ 0.200", "query"} <= set(words)


def test_sizes_keep_the_proportion():
    assert tile_size(128, 64) == (128, 64) and tile_size(256, 128) == (128, 64) and tile_size(50, 50) == (64, 64)
    assert tile_size(400, 40) == (192, 19)


def test_names_that_begin_alike_are_still_told_apart():
    paper = sheet.Sheet(200, 50)
    short = [paper.words(f"Łukasz Müller {number:02}", 5, 5, room=60) for number in (4, 12)]
    assert [line.get_text()[-2:] for line in short] == ["04", "12"]
    assert all("…" in line.get_text() and line.get_window_extent().width <= 60 for line in short)
    assert paper.words("W" * 50, 5, 5, room=1).get_text() == "W…W"  # no room at all: it ends


def test_distances_of_a_network_that_finds_all_images_alike_can_be_read():
    assert [_figures(each) for each in (0.0, -1e-8, 0.000123, 0.0012, 0.25, 1.5)] == [
        "0.000", "0.000", "0.00012", "0.0012", "0.250", "1.500",
    ]  # fmt: skip
