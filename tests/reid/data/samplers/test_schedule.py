from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.samplers import schedule
from reid.data.samplers.schedule import deal_identities


@st.composite
def deals(draw):
    """Chunks of each identity, and places that all differ by one at most and hold them."""
    chunks = draw(st.lists(st.integers(1, 12), min_size=1, max_size=12))
    fewest = draw(st.integers(0, len(chunks)))
    wider = draw(st.integers(0, 1)) if fewest < len(chunks) else 0
    if fewest + wider == 0:
        fewest = 1
    places: list[int] = []
    while sum(places) < sum(chunks):
        places.append(fewest + (draw(st.integers(0, 1)) if wider else 0))
        if len(places) > 400:
            places.append(fewest + wider)
    return np.array(chunks), np.array(places)


@settings(max_examples=200, deadline=None)
@given(deal=deals(), seed=st.integers(0, 2**32))
def test_every_place_is_filled_and_every_chunk_given(deal, seed):
    chunks, places = deal
    batches = deal_identities(chunks, places, np.random.default_rng(seed))
    assert [len(batch) for batch in batches] == places.tolist()
    assert all(len(set(batch.tolist())) == len(batch) for batch in batches)
    given_chunks = np.bincount(np.concatenate(batches), minlength=len(chunks))
    assert (given_chunks >= np.minimum(chunks, len(places))).all()


def test_who_has_more_chunks_left_comes_sooner():
    """Otherwise identities with many images would stand in the last batches, where they must, and hardly before: five
    chunks among 45 others would begin in the first of ten batches in a ninth of the epochs, not in half of them."""
    chunks, places = np.array([5] + [1] * 45), np.full(10, 5)
    first = [0 in deal_identities(chunks, places, np.random.default_rng(seed))[0] for seed in range(300)]
    assert 0.4 < np.mean(first) < 0.65


def test_least_keys_are_taken_as_a_sort_of_all_has_them():
    """Batches are a function of seed and epoch: those of runs that were begun before are to stay what they were."""
    chunks = np.random.default_rng(1).integers(1, 9, 40)
    places = np.full(-(-int(chunks.sum()) // 8), 8)
    found = deal_identities(chunks, places, np.random.default_rng(2))
    with mock.patch.object(schedule, "_least", lambda key, wanted: np.argsort(key, kind="stable")[:wanted]):
        expected = deal_identities(chunks, places, np.random.default_rng(2))
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]


@pytest.mark.parametrize("wanted", [2, 16, 400, 999, 1000])
def test_not_all_keys_are_sorted(wanted):
    """A partition sorts short pieces whole: only many wanted ones show whether it is cut where it must be."""
    key = np.random.default_rng(0).random(1000)
    key[[900, 7]] = -1.0  # of identities that must be taken now
    with mock.patch.object(np, "argsort", wraps=np.argsort) as sort:
        assert schedule._least(key, wanted).tolist() == sorted(range(1000), key=key.__getitem__)[:wanted]
    assert [len(call.args[0]) for call in sort.call_args_list] == [wanted]
