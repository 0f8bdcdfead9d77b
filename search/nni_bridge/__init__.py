"""All that imports nni: the space, the search and the engine as NNI knows them."""

from __future__ import annotations

from reid.errors import UserError

try:
    import nni.nas.execution  # noqa: F401
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("pytorch_lightning", "tensorflow", "mxnet"):
        raise
    raise UserError(
        f"nni needs {error.name}, but only for its own networks, which are not used here; start Python without "
        "NNI_FRAMEWORK, and import search before nni.nas"
    ) from None
