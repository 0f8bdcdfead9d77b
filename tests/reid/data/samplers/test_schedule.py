from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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
