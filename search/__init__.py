"""Searching a space under a FLOPs limit with a trained supernet's weights.

Importing the package does not import nni; ``search.nni_bridge`` and ``search.run`` do.
"""

from __future__ import annotations

import os
import sys

# Before any module of this package imports nni: with it nni asks for no deep learning framework (and so no
# Lightning).
os.environ.setdefault("NNI_FRAMEWORK", "none")

# A caller's own ``import nni`` came first, and has taken PyTorch as it found nothing said; until it imports nni.nas it
# can be told.
if "nni" in sys.modules and "nni.nas" not in sys.modules:
    sys.modules["nni"].set_default_framework(os.environ["NNI_FRAMEWORK"])
