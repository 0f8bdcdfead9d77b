"""Selection of the identities on which a same-person threshold is set."""

from __future__ import annotations

from pathlib import Path

import torch

from evaluation.features.files import load_features
from evaluation.protocols import Calibration, Protocol
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.threshold import halve_identities
from reid.errors import UserError
from tools.jobs.data import Source
from tools.jobs.evaluate.subject import Subject, features_on_holdout
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown

CHOICES = ("auto", "holdout", "test-half", "none")


MADE_ALIKE = {
    "fingerprint": "network",
    "input_size": "input size",
    "flip": "flip test (--flip)",
    "precision": "precision (--precision)",
}
"""Facts about features that a threshold depends on, with their names in messages."""


def check_choice(choice: str, saved: bool, several: bool) -> None:
    """Raises UserError for a ``choice`` that cannot be carried out, before anything is computed.

    Args:
        saved: the subject is saved features, without a network.
        several: the evaluation is the mean over several splits, for which no threshold is set.
    """
    if several and choice not in ("auto", "none"):
        raise UserError(f"--calibrate {choice}: --split all sets no threshold; leave one of the two out")
    if choice.endswith(".npz"):
        load_features(Path(choice))
    elif choice not in CHOICES:
        raise UserError(f"--calibrate {choice}: must be one of {', '.join(CHOICES)}, or a feature file (.npz)")
    elif choice == "holdout" and saved:
        raise UserError("--calibrate holdout: saved features come without a network; name a feature file, or test-half")


def held_out(
    choice: str, subject: Subject, source: Source, config: DataConfig, protocol: Protocol, unseen: bool
) -> Calibration | None:
    """The config's held-out identities if ``choice`` is ``holdout``, or if it is ``auto`` and the network is known not
    to have been trained on them (``unseen``). They are few, so errors in them are found before the test set is run.

    Raises:
        UserError: ``choice`` is ``holdout``, but the identities are unavailable.
    """
    if choice != "holdout" and not (choice == "auto" and unseen):
        return None
    try:
        held = features_on_holdout(subject, source, config, protocol)
    except UserError:
        if choice == "holdout":
            raise
        return None
    return Calibration(held, f"{len(held.query.pids.unique())} held-out identities of {source.dataset.name}")


def calibration(choice: str, features: RetrievalFeatures, held: Calibration | None = None) -> Calibration | None:
    """The identities for ``choice``: one of ``CHOICES``, or a feature file of held-out identities.

    If there are no ``held`` identities, every other test identity is used, and the threshold is measured on the rest.

    Raises:
        UserError: the file is not a feature file; its features have another length, another network or other settings;
            or they are the evaluated ones.
    """
    if choice == "none":
        return None
    if choice.endswith(".npz"):
        named = load_features(Path(choice))
        wanted, found = (each.query.features.shape[1] for each in (features, named))
        if wanted != found:
            raise UserError(
                f"--calibrate {choice}: its features have {found} numbers, but those to evaluate have {wanted}; name "
                "features of the same network"
            )
        for key, words in MADE_ALIKE.items():
            wanted, found = (each.about.get(key) for each in (features, named))
            if None not in (wanted, found) and wanted != found:
                raise UserError(
                    f"--calibrate {choice}: its features are of another {words} than those to evaluate, so their "
                    "distances cannot be compared; name features that were computed in the same way"
                )
        if any(_same(getattr(named, side), getattr(features, side)) for side in ("query", "gallery")):
            raise UserError(
                f"--calibrate {choice}: its features are those to evaluate, and a threshold says nothing about the "
                "images that it is set on; name other persons' features, or test-half"
            )
        return Calibration(named, f"the features in {shown(Path(choice))}")
    if held is not None:
        return held
    half, rest = halve_identities(features)
    return Calibration(half, "every other test identity, measured on the others", rest)


def _same(one: LabeledFeatures, other: LabeledFeatures) -> bool:
    return one.features.shape == other.features.shape and torch.equal(one.features, other.features)
