"""Training that starts from an arch's weights in a supernet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.arch import Arch
from supernet.catalog import NetworkSpec
from supernet.files import load_space
from supernet.space.genome import encode
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.data import Source, search_data
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import cut_out, open_supernet

INHERITED = "inherited weights"
"""How tables describe such a start; followed by the supernet's run folder in parentheses."""


@dataclass(frozen=True)
class Inheritance:
    """An arch's weights from a supernet.

    Attributes:
        run: the supernet's run folder.
        network: the arch extracted from it, with calibrated BN.
        sha256: of the supernet's weights file.
    """

    run: Path
    network: ReidNetwork
    sha256: str

    @property
    def words(self) -> str:
        """For tables: "inherited weights (runs/supernet)"."""
        return f"{INHERITED} ({shown(self.run)})"


def inherit(run: Path, spec: NetworkSpec, source: Source, job: Job) -> Inheritance:
    """The weights of ``spec``'s arch in the supernet of the folder ``run``.

    BN is calibrated on the same images as for the row "inherited" (``tools.jobs.evaluate.job``) and for a search's
    scores, so the training starts from exactly the network of that row. Most recipes do not need this, since BN
    statistics settle within tens of steps, but those that freeze the backbone and its BN at first do.

    Raises:
        UserError: ``spec`` is not an arch, there is no supernet, its space is not the config's, or the space does not
            contain the arch.
    """
    if not isinstance(spec.backbone, Arch):
        raise UserError(
            f"--inherit {run}: a supernet contains only archs, and {spec.name} is not one; leave --inherit out"
        )
    supernet = open_supernet(run, load_space(job.experiment.space).at(job.experiment.input_size), job.device)
    try:
        encode(supernet.space, spec.backbone)
    except UserError as error:
        raise UserError(f"--inherit {run}: {error}; name an arch that is, or leave --inherit out") from None
    network = cut_out(supernet, spec, search_data(source, job.experiment.data).train, job)
    return Inheritance(run, network.cpu(), sha256(run / SUPERNET))


def start_from(network: ReidNetwork, inherited: Inheritance) -> str:
    """Copies the inherited weights into ``network`` and describes them.

    The backbone is always copied. The head is copied only if all its tensors agree with the supernet's in name and
    shape, as those of the default head do; otherwise it keeps its fresh weights.
    """
    network.backbone.load_state_dict(inherited.network.backbone.state_dict())
    theirs, own = inherited.network.head.state_dict(), network.head.state_dict()
    alike = {name: value.shape for name, value in theirs.items()} == {name: value.shape for name, value in own.items()}
    if alike:
        network.head.load_state_dict(theirs)
    taken = "backbone and neck" if alike else "backbone (the recipe's head is another than the supernet's)"
    return f"{taken} of {shown(inherited.run)}, BN calibrated; classifier fresh"
