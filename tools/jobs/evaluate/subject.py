"""The subject of an evaluation: a network from a checkpoint or an ``.onnx`` file, and the features it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evaluation.features.cache import cached_features, network_fingerprint
from evaluation.features.onnx_network import OnnxNetwork
from evaluation.protocols import Protocol, retrieval_features
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import RECORDS
from reid.data.records import ImageSet
from reid.errors import UserError
from supernet.catalog import NetworkSpec, spec_to_dict
from tools.jobs.data import Source, search_data, test_data
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown

FEATURES = "features"
"""Folder of cached features below that of the decoded images."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that computes features.

    Attributes:
        network: ``(N, 3, h, w)`` to ``(N, D)``, on ``device``.
        input_size: ``(h, w)``.
        device: where it runs.
        fingerprint: identifies the network including its weights.
        about: facts stored with its features, as JSON.
    """

    network: nn.Module
    input_size: tuple[int, int]
    device: torch.device
    fingerprint: str
    about: dict[str, Any] = field(default_factory=dict)


def network_subject(
    network: nn.Module, spec: NetworkSpec, device: torch.device, about: dict[str, Any] | None = None
) -> Subject:
    """A network of this framework."""
    made_of = {key: value for key, value in spec_to_dict(spec).items() if key not in ("name", "origin")}
    fingerprint = network_fingerprint(network, made_of)
    told = {"network": spec.name, "fingerprint": fingerprint, **(about or {})}
    return Subject(network, spec.input_size, device, fingerprint, told)


def onnx_subject(path: Path, device: torch.device, size: tuple[int, int] | None, protocol: Protocol) -> Subject:
    """The network in an ``.onnx`` file. ``size``, the config's, is used only for a network that takes any size; others
    record their size, as a checkpoint does.

    Raises:
        UserError: see ``OnnxNetwork``; the size is unknown; or a precision is requested, although the file has its
            own.
    """
    network = OnnxNetwork(path, device)
    found = network.input_size or network.size_for(size, "--set input_size=[256,128]")
    if protocol.precision != "fp32":
        raise UserError(f"--precision {protocol.precision}: {path} has a fixed precision; leave the option out")
    digest = network.digest
    about = {"network": path.stem, "weights": shown(path), "weights_sha256": digest, "runs_on": network.providers[0]}
    if "weights_sha256" in network.metadata:
        about["exported_from_sha256"] = network.metadata["weights_sha256"]
    return Subject(network, found, torch.device("cpu"), f"onnx {network.providers[0]} {digest}", about)


def features_on_test(subject: Subject, source: Source, protocol: Protocol) -> RetrievalFeatures:
    """Features of the data set's query and gallery, from the cache if possible."""
    sides = test_data(source)
    about = {
        **subject.about,
        "data": source.dataset.name,
        "input_size": list(subject.input_size),
        "flip": protocol.flip,
        "precision": protocol.precision,
    }
    features = [_features(subject, images, source, protocol) for images in sides]
    return retrieval_features(source.dataset, *sides, features, about)


def features_on_holdout(subject: Subject, source: Source, config: DataConfig, protocol: Protocol) -> RetrievalFeatures:
    """The same for the held-out identities, split into query and gallery as for a search."""
    held = search_data(source, config)
    sides = [
        LabeledFeatures(_features(subject, images, source, protocol), images.pids, images.camids)
        for images in (held.query, held.gallery)
    ]
    return RetrievalFeatures(*sides, RECORDS)


def _features(subject: Subject, images: ImageSet, source: Source, protocol: Protocol) -> torch.Tensor:
    return cached_features(
        source.cache / FEATURES,
        subject.fingerprint,
        subject.network,
        images,
        subject.input_size,
        subject.device,
        flip=protocol.flip,
        precision=protocol.precision,
        progress=True,
    )
