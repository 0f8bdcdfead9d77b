"""Searching a space under a FLOPs limit with a trained supernet's weights.

Importing the package does not import nni; ``search.nni_bridge`` and ``search.run`` do.
"""

from __future__ import annotations

import os

# Before any module of this package imports nni: with it nni asks for no deep learning framework (and so no
# Lightning).
os.environ.setdefault("NNI_FRAMEWORK", "none")
