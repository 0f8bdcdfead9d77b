"""What a training says of itself at its start."""

from __future__ import annotations

from pathlib import Path

from supernet.trained.zoo import zoo_weights
from tools.jobs.training.retrain_words import terms_of


def test_the_licence_of_the_zoos_weights_is_told():
    """At the start: before days of training, on images that may be used for a product, begin with weights that may
    not."""
    words = terms_of(zoo_weights("osnet-x0.42-market1501"))
    assert words.startswith("of OSNet-x0.42-market1501, and of whatever is trained from it: research only: ")
    assert terms_of(Path("runs/mine/last.safetensors")) is None and terms_of("imagenet") is None
