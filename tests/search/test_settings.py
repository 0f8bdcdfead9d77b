"""What a search is kept with: searches that were begun before a key came up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reid.errors import UserError
from search.asked import Asked
from search.config import SearchConfig
from search.limits import Limits
from search.settings import open_search, settings_of
from supernet.files import load_space

PLAIN = SearchConfig(calibration_images="plain")


def _settings(config: SearchConfig) -> dict:
    return settings_of(Asked(load_space("tiny"), Limits(flops=6_000_000), config, "evolution"))


def _begun(out, settings: dict) -> None:
    (out / "search.json").write_text(json.dumps({"finished": False, "settings": settings}))


def test_a_search_from_before_calibration_images_could_be_chosen_goes_on_with_plain_ones(tmp_path):
    settings = _settings(PLAIN)
    assert not {"calibration_images", "learn_from", "front"} & settings.keys()
    _begun(tmp_path, settings)
    assert open_search(tmp_path, settings, resume=True) == []
    with pytest.raises(UserError, match=r'started with another calibration_images \("plain", now "augmented"\)'):
        open_search(tmp_path, _settings(SearchConfig()), resume=True)


def test_a_search_that_was_begun_with_what_is_left_out_now_goes_on(tmp_path):
    """For some time ``plain`` was written down too."""
    _begun(tmp_path, {**_settings(PLAIN), "calibration_images": "plain"})
    assert open_search(tmp_path, _settings(PLAIN), resume=True) == []


@pytest.mark.parametrize(
    ("begun", "now", "words"),
    [
        (SearchConfig(), PLAIN, r'calibration_images \("augmented", now "plain"\)'),
        (replace(PLAIN, learn_from=("a",)), PLAIN, r'learn_from \(\["a"\], now \[\]\)'),
        (PLAIN, replace(PLAIN, learn_from=("a",)), r'learn_from \(\[\], now \["a"\]\)'),
    ],
)
def test_what_is_left_out_is_another_setting_than_what_is_not(tmp_path, begun, now, words):
    _begun(tmp_path, _settings(begun))
    with pytest.raises(UserError, match=f"started with another {words}; give the same"):
        open_search(tmp_path, _settings(now), resume=True)


def test_a_search_goes_on_with_files_that_were_moved(tmp_path):
    """The supernet and the rankings are known by their SHA-256, wherever they lie."""

    def settings(place: str, **digests: object) -> dict:
        config = replace(PLAIN, learn_from=(f"{place}/ranking",))
        origin = {"supernet": f"{place}/supernet.safetensors", **digests}
        return settings_of(Asked(load_space("tiny"), Limits(flops=6_000_000), config, "evolution", 0, origin))

    same = {"supernet_sha256": "a", "learnt_from_sha256": ["b"]}
    _begun(tmp_path, settings("old", **same))
    assert open_search(tmp_path, settings("new", **same), resume=True) == []
    kept = json.loads((tmp_path / "search.json").read_text())["settings"]
    assert kept["origin"]["supernet"] == "new/supernet.safetensors" and kept["learn_from"] == ["new/ranking"]
    for other in ({"supernet_sha256": "x"}, {"learnt_from_sha256": ["x"]}):
        with pytest.raises(UserError, match="started with another"):
            open_search(tmp_path, settings("new", **same | other), resume=True)
    _begun(tmp_path, settings("old"))  # which says nothing of what they are
    with pytest.raises(UserError, match="started with another"):
        open_search(tmp_path, settings("new"), resume=True)
